"""Step 7: logs of collectors, and the services whose spans they lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tracekit.aws.audit.answers import LOGS, Answers
from tracekit.aws.audit.containers import DEFINITION, SERVICES, is_collector
from tracekit.aws.audit.logs import FILTER, PATTERN, SpanLoss, log_content, span_loss

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tracekit.aws.audit.service_record import ServiceRecord, ServiceRecords
    from tracekit.aws.reader import Answer, Reader

NOT_CHECKED = "not checked"
_PAGES, _SHOWN = 50, 3


def fetch_logs(reader: Reader, records: Iterable[Answer], start: int, end: int) -> Iterator[Answer]:
    """Yield the CloudWatch logs of ECS collectors, reduced to lines about lost spans."""
    definitions = [record for record in records if record.operation == DEFINITION and record.is_known]
    for group, prefix in dict.fromkeys(stream for one in definitions for stream in streams(one, reader.region)):
        period = {"startTime": 1000 * start, "endTime": 1000 * end}
        where = {"logGroupName": group, "logStreamNamePrefix": prefix}
        found = reader.call(FILTER, most_pages=_PAGES, **where, **period, filterPattern=PATTERN)
        if found.is_known:
            events = ((str(one.get("message")), one.get("timestamp", 0) / 1e3) for one in found.content["events"])
            kept = {name: value for name, value in found.content.items() if name == "is_cut"}
            found = replace(found, content={**log_content(events), **kept})
        yield found


def streams(definition: Answer, region: str) -> list[tuple[str, str]]:
    """Return log group and stream prefix of each collector in a task definition that logs to CloudWatch."""
    found = []
    for container in definition.content["taskDefinition"].get("containerDefinitions", ()):
        log = container.get("logConfiguration") or {}
        options = log.get("options") or {}
        group, prefix = options.get("awslogs-group"), options.get("awslogs-stream-prefix")
        is_here = log.get("logDriver") == "awslogs" and options.get("awslogs-region", region) == region
        if is_collector(container) and is_here and group and prefix:
            found.append((str(group), f"{prefix}/{container['name']}/"))
    return found


def read_losses(records: ServiceRecords, answers: Answers) -> None:
    """Add facts about lost spans from the log of each service's collector."""
    named = {
        call.content["taskDefinition"]["taskDefinitionArn"].rpartition("/")[2]: streams(call, answers.region)
        for call in answers.of(DEFINITION)
    }
    gateways = {
        str(one["serviceName"]): str(one["taskDefinition"]).rpartition("/")[2]
        for call in answers.of(SERVICES)
        for one in call.content["services"]
    }
    for record in records.values():
        if record.value("collector") in {None, "none"} and record.value("endpoint") is None:
            continue
        definitions = {str(record.value("task_definition")), gateways.get(str(record.value("collector_image")), "")}
        own = [stream for name in definitions for stream in named.get(name, ())]
        fetched = [call for call in answers.calls_of(FILTER) if _stream(call) in own]
        given = [call for call in answers.of(LOGS) if call.request["collector"] in {"", *_names(record)}]
        _add_losses(record, [*given, *(call for call in fetched if call.is_known)], fetched, answers)


def unmatched_logs(records: ServiceRecords, answers: Answers) -> list[str]:
    """Return the names of saved logs that match no known collector, service or task."""
    known = {"", *(name for record in records.values() for name in _names(record))}
    return [name for call in answers.of(LOGS) if (name := str(call.request["collector"])) not in known]


def _stream(call: Answer) -> tuple[str, str]:
    """Return the log group and stream prefix of a request."""
    return str(call.request.get("logGroupName")), str(call.request.get("logStreamNamePrefix"))


def _names(record: ServiceRecord) -> set[str]:
    """Return the possible names of the log of a service's collector."""
    facts = ("ecs_service", "collector_name", "collector_image", "task_definition", "workload")
    long = [record.name, *(str(record.value(fact)) for fact in facts if record.value(fact) is not None)]
    return {name for text in long for name in (text, text.rpartition("/")[2], text.rpartition("/")[2].split(":")[0])}


@dataclass
class _Counts:
    """Log lines about lost spans: per kind in the period, outside it, and without a time."""

    lines: Counter[str] = field(default_factory=Counter)
    spans: Counter[str] = field(default_factory=Counter)
    outside: int = 0
    undated: int = 0
    not_kept: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Lines and spans per kind."""
        return "; ".join(f"{kind}: {_counted(count, self.spans[kind])}" for kind, count in self.lines.most_common())


def _counts(logs: list[Answer], answers: Answers) -> _Counts:
    """Return the log lines about lost spans."""
    counts, early = _Counts(), set[str]()
    for event in (event for call in logs for event in call.content["events"]):
        stamp = event.get("timestamp")
        found = span_loss(str(event.get("message")), None if stamp is None else stamp / 1e3)
        if found is None:
            continue
        if not _is_inside(found, answers):
            counts.outside += 1
            early |= {found.kind} if found.at is not None and found.at < answers.start else set()
            continue
        counts.undated += found.at is None
        counts.lines[found.kind] += 1
        counts.spans[found.kind] += found.span_count
        counts.examples += [str(event["message"])] * (len(counts.examples) < _SHOWN)
    for kind, count in (item for call in logs for item in call.content.get("more", {}).items()):
        if kind in early:  # lines before those that were kept
            counts.outside += count
        elif counts.lines[kind]:
            counts.lines[kind] += count
        else:
            counts.not_kept += count
    return counts


def _add_losses(record: ServiceRecord, logs: list[Answer], fetched: list[Answer], answers: Answers) -> None:
    """Add the lost spans in the logs of one service's collector."""
    if not logs:
        failure = next((f"logs:FilterLogEvents: {call.failure}" for call in fetched if call.failure), "")
        note = f"{failure or 'no collector log found'}; pass one with --logs FILE"
        record.add(7, "collector_log", NOT_CHECKED, None, None, note)
        return
    counts = _counts(logs, answers)
    notes = [f"{_counted(counts.outside, 0)} outside the period, not counted"] * bool(counts.outside)
    notes += [f"{_counted(counts.undated, 0)} without a time, counted"] * bool(counts.undated)
    notes += [f"{_counted(counts.not_kept, 0)} before those were not kept; pass a log of that time"] * bool(
        counts.not_kept
    )
    notes += ["the log was not read completely"] * any(call.content.get("is_cut") for call in logs)
    total = sum(int(call.content.get("line_count", 0)) for call in logs)
    no_losses = NOT_CHECKED if counts.not_kept else f"{_counted(total, 0)}, none about lost spans"
    source, note = logs[-1], "; ".join(notes)
    record.add(7, "collector_log", counts.text or no_losses, source, counts.examples, note)
    record.add(7, "collector_losses", counts.text or None, source, counts.examples, note)


def _is_inside(found: SpanLoss, answers: Answers) -> bool:
    """Return whether a line is from the audited period; a line without a time counts as inside."""
    return found.at is None or answers.start <= found.at < answers.end


def _counted(line_count: int, span_count: int) -> str:
    """Return the number of lines and spans as text."""
    spans = f", {span_count:,} spans" if span_count else ""
    return f"{line_count:,} {'line' if line_count == 1 else 'lines'}{spans}"
