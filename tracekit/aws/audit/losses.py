"""Step 7: asking for the logs of collectors, and which service the lost spans in them belong to."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from tracekit.aws.audit.answers import LOGS, Answer, Answers
from tracekit.aws.audit.containers import DEFINITION, SERVICES, is_collector
from tracekit.aws.audit.logs import FILTER, PATTERN, Trouble, told, trouble

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tracekit.aws.audit.calls import Reader
    from tracekit.aws.audit.service_record import ServiceRecord, ServiceRecords

UNSEEN = "not looked at"
_PAGES, _SHOWN = 50, 3


def ask_logs(reader: Reader, records: Iterable[Answer], start: int, end: int) -> Iterator[Answer]:
    """Yield what CloudWatch Logs holds of the collectors of ECS, of which only lines about lost spans are kept."""
    definitions = [record for record in records if record.operation == DEFINITION and record.is_known]
    for group, prefix in dict.fromkeys(stream for one in definitions for stream in streams(one, reader.region)):
        period = {"startTime": 1000 * start, "endTime": 1000 * end}
        where = {"logGroupName": group, "logStreamNamePrefix": prefix}
        found = reader.ask(FILTER, most_pages=_PAGES, **where, **period, filterPattern=PATTERN)
        if found.is_known:
            events = ((str(one.get("message")), one.get("timestamp", 0) / 1e3) for one in found.content["events"])
            kept = {name: value for name, value in found.content.items() if name == "is_cut"}
            found = replace(found, content={**told(events), **kept})
        yield found


def streams(definition: Answer, region: str) -> list[tuple[str, str]]:
    """Return log group and prefix of the streams of the collectors in a task definition, where CloudWatch has them."""
    found = []
    for container in definition.content["taskDefinition"].get("containerDefinitions", ()):
        log = container.get("logConfiguration") or {}
        options = log.get("options") or {}
        group, prefix = options.get("awslogs-group"), options.get("awslogs-stream-prefix")
        is_here = log.get("logDriver") == "awslogs" and options.get("awslogs-region", region) == region
        if is_collector(container) and is_here and group and prefix:
            found.append((str(group), f"{prefix}/{container['name']}/"))
    return found


def read_losses(sheets: ServiceRecords, answers: Answers) -> None:
    """Write down what the log of every service's collector tells of lost spans."""
    about = {call.content["taskDefinition"]["taskDefinitionArn"]: call for call in answers.of(DEFINITION)}
    named = {arn.rpartition("/")[2]: streams(call, answers.region) for arn, call in about.items()}
    gateways = {
        str(one["serviceName"]): str(one["taskDefinition"]).rpartition("/")[2]
        for call in answers.of(SERVICES)
        for one in call.content["services"]
    }
    for sheet in sheets.values():
        if sheet.value("collector") in {None, "none"} and sheet.value("endpoint") is None:
            continue
        definitions = {str(sheet.value("task_definition")), gateways.get(str(sheet.value("collector_image")), "")}
        own = [stream for name in definitions for stream in named.get(name, ())]
        asked = [call for call in answers.asked(FILTER) if _stream(call) in own]
        given = [call for call in answers.of(LOGS) if call.request["collector"] in {"", *_names(sheet)}]
        _write(sheet, [*given, *(call for call in asked if call.is_known)], asked, answers)


def strangers(sheets: ServiceRecords, answers: Answers) -> list[str]:
    """Return the names of saved logs that are of no collector, service or task that the answers know."""
    known = {"", *(name for sheet in sheets.values() for name in _names(sheet))}
    return [name for call in answers.of(LOGS) if (name := str(call.request["collector"])) not in known]


def _stream(call: Answer) -> tuple[str, str]:
    """Return log group and prefix that were asked for."""
    return str(call.request.get("logGroupName")), str(call.request.get("logStreamNamePrefix"))


def _names(sheet: ServiceRecord) -> set[str]:
    """Return the names by which the log of a service's collector may be called."""
    facts = ("ecs_service", "collector_name", "collector_image", "task_definition", "workload")
    long = [sheet.name, *(str(sheet.value(fact)) for fact in facts if sheet.value(fact) is not None)]
    return {name for text in long for name in (text, text.rpartition("/")[2], text.rpartition("/")[2].split(":")[0])}


def _write(sheet: ServiceRecord, logs: list[Answer], asked: list[Answer], answers: Answers) -> None:
    """Write down what logs tell about one service."""
    if not logs:
        why = next((f"logs:FilterLogEvents: {call.failure}" for call in asked if call.failure), "")
        note = f"{why or 'no log of it was given or found'}; --logs FILE takes one"
        sheet.add(7, "collector_log", UNSEEN, None, None, note)
        return
    lines, spans, outside, undated = Counter[str](), Counter[str](), 0, 0
    examples: list[str] = []
    early: set[str] = set()
    for event in (event for call in logs for event in call.content["events"]):
        stamp = event.get("timestamp")
        found = trouble(str(event.get("message")), None if stamp is None else stamp / 1e3)
        if found is None or not _is_inside(found, answers):
            outside += found is not None
            early |= {found.kind} if found and found.at is not None and found.at < answers.start else set()
            continue
        undated += found.at is None
        lines[found.kind] += 1
        spans[found.kind] += found.span_count
        examples += [str(event["message"])] * (len(examples) < _SHOWN)
    unseen = 0  # lines before those that were kept
    for kind, count in (item for call in logs for item in call.content.get("more", {}).items()):
        if kind in early:
            outside += count
        elif lines[kind]:
            lines[kind] += count
        else:
            unseen += count
    notes = [f"{_counted(outside, 0)} of another time, not counted"] * bool(outside)
    notes += [f"{_counted(undated, 0)} without a time, counted"] * bool(undated)
    notes += [f"{_counted(unseen, 0)} before those were not kept; give a log of that time"] * bool(unseen)
    notes += ["its logs were not read to their end"] * any(call.content.get("is_cut") for call in logs)
    total = sum(int(call.content.get("line_count", 0)) for call in logs)
    text = "; ".join(f"{kind}: {_counted(count, spans[kind])}" for kind, count in lines.most_common())
    source = logs[-1]
    silent = UNSEEN if unseen else f"{_counted(total, 0)}, none of lost spans"
    sheet.add(7, "collector_log", text or silent, source, examples, "; ".join(notes))
    sheet.add(7, "collector_trouble", text or None, source, examples, "; ".join(notes))


def _is_inside(found: Trouble, answers: Answers) -> bool:
    """Return whether a line is of the period of the audit; one without a time may be."""
    return found.at is None or answers.start <= found.at < answers.end


def _counted(line_count: int, span_count: int) -> str:
    """Return how many lines tell of how many spans."""
    spans = f", {span_count:,} spans" if span_count else ""
    return f"{line_count:,} {'line' if line_count == 1 else 'lines'}{spans}"
