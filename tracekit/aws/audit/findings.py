"""The results of an audit from its verdicts: the table of services, the evidence, and a finding per diagnosis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from tracekit.aws.access import NOT_OFFERED
from tracekit.aws.audit.answers import KUBECTL, LOGS, UNREAD
from tracekit.aws.audit.clusters import COMMAND
from tracekit.aws.audit.containers import DEFINITION
from tracekit.aws.audit.expected import expected_traces
from tracekit.aws.audit.logs import FILTER
from tracekit.aws.audit.losses import NOT_CHECKED, streams, unmatched_logs
from tracekit.aws.audit.messages import INPUTS, MESSAGES, Message, estimate_of, values_of
from tracekit.aws.audit.retrieval import HOUR
from tracekit.aws.audit.service_record import when
from tracekit.aws.audit.tree import STAGES, main_result
from tracekit.aws.operations import OPERATIONS
from tracekit.aws.reader import DENIED
from tracekit.findings import STATUS_OF_SEVERITY, finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracekit.aws.audit.answers import Answers
    from tracekit.aws.audit.service_record import Fact, ServiceRecord, ServiceRecords
    from tracekit.aws.audit.tree import StageResult
    from tracekit.findings import Finding
    from tracekit.stats.gap_scan import Gap

SERVICE_COLUMNS = (
    "platform",
    "tracing_mode",
    "tracing_disabled",
    "sdk",
    "instrumented_by",
    "collector",
    "collector_running",
    "collector_health",
    "requests",
    "recorded",
    "rule",
    "indexed",
    "first_trace",
    "last_trace",
    "first_deployed",
    "last_config_change",
    "groups",
)
EVIDENCE_COLUMNS = (
    "step",
    "stage",
    "service",
    "fact",
    "observed",
    "status",
    "diagnosis",
    "source_call",
    "as_of",
    "answer",
    "note",
)
_MARGIN = 2  # hours
_NAMED = 3  # operations in a headline
_TIMES = ("first_trace", "last_trace", "first_deployed")


def row(record: ServiceRecord, first: StageResult, diagnosed: list[StageResult]) -> dict[str, Any]:
    """Return the row of a service in the table of services."""
    row: dict[str, Any] = {name: record.value(name) for name in SERVICE_COLUMNS}
    for name in _TIMES:
        row[name] = None if row[name] is None else pd.Timestamp(row[name], unit="s", tz="UTC")
    codes = tuple(dict.fromkeys(one.diagnosis for one in diagnosed))
    return {"service": record.name, "diagnosis_code": first.diagnosis, "diagnoses": codes, **row}


def evidence(record: ServiceRecord, results: list[StageResult]) -> list[dict[str, Any]]:
    """Return one row per fact and stage, and one for each stage without facts."""
    rows = []
    for one in results:
        facts = [record.facts[name] for name in STAGES[one.stage] if name in record.facts]
        about = {"service": record.name, "stage": one.stage, "status": one.status, "diagnosis": one.diagnosis}
        rows += [{**_dated(fact)._asdict(), **about, **_not_checked(fact)} for fact in facts]
        if (gap := one.numbers.get("gap")) and record.recorded is not None and record.requests is not None:
            rows += [{**fact._asdict(), **about} for fact in _around(record, gap)]
        if not facts:
            empty = dict.fromkeys(("fact", "source_call", "as_of", "answer"), "")
            rows.append({**empty, **about, "step": 0, "observed": None, "note": f"needs {_input(one.stage)}"})
    return rows


def _not_checked(fact: Fact) -> dict[str, Any]:
    """Return the status of a fact that was not checked, which overrides that of its stage."""
    return {"status": "unknown"} if isinstance(fact.observed, str) and fact.observed == NOT_CHECKED else {}


def _dated(fact: Fact) -> Fact:
    """Return a fact with its time as text."""
    return fact._replace(observed=f"{when(fact.observed)} UTC") if fact.fact in _TIMES else fact


def _around(record: ServiceRecord, gap: Gap) -> Iterator[Fact]:
    """Yield the traces and requests per hour of a collection gap, with two more hours on either side."""
    hours = slice(max(0, gap.start - _MARGIN), gap.end + _MARGIN)
    for name, counts in (("recorded", record.recorded), ("requests", record.requests)):
        values, source = counts[hours].astype(int).tolist() if counts is not None else [], record.facts[name]
        note = f"per hour, from {_MARGIN} hours before the gap to {_MARGIN} after"
        yield source._replace(fact=f"{name}_by_hour", observed=values, answer=str(values), note=note)


def diagnosis_finding(
    records: ServiceRecords,
    results: dict[str, list[StageResult]],
    name: str,
    result: StageResult,
    answers: Answers,
    rows: list[dict[str, Any]],
    code: str,
) -> Finding:
    """Return the finding of a verdict, with its evidence."""
    record, message = records[name], _message(records[name], result)
    unknown = [one.stage for one in results[name] if one.status == "unknown"]
    share = next((one.numbers for one in results[name] if "ratio" in one.numbers), {})
    expected = expected_traces(record, records)
    extra = {
        "days": f"{(answers.end - answers.start) / 86400:.3g}",
        "region": answers.region,
        "start": answers.start,
        "lacking": _lacking(records, results, answers),
        "others": _others(results, name, result),
        "unknown": ", ".join(INPUTS[stage][1] for stage in unknown),
        "to_check": "To check them: " + "; ".join(map(_input, unknown)) + ".",
        "change": _change(record),
        "expected": "an unknown number of" if expected is None else f"about {(expected.low + expected.high) / 2:,.0f}",
    }
    complete = result._replace(numbers={**share, **result.numbers})
    values = values_of(record, complete, {**extra, "days": (answers.end - answers.start) / 86400}) | {
        "days": extra["days"]
    }
    stage_rows = [row for row in rows if result.stage in {row["stage"], "T8"}]
    exemplars = (record.value("propagation") or {}).get("exemplars", ()) if result.diagnosis == "D5c" else ()
    assumptions = ["requests are spread evenly within an hour"] if "ratio" in complete.numbers else []
    if result.diagnosis.startswith("D3b") and record.value("destination") is None:
        assumptions.append("every sampled trace is indexed: the segment destination is unknown")
    return finding(
        f"coverage.{result.diagnosis}",
        "not_assessable" if result.status == "unknown" else STATUS_OF_SEVERITY[message.severity],
        message.text.format(**values),
        pd.DataFrame(stage_rows, columns=list(EVIDENCE_COLUMNS)),
        estimate=estimate_of(record, result),
        exemplars=exemplars,
        assumptions=assumptions,
        remedy=message.remedy.format(**values),
        code=f"{code}.evidence.loc[lambda rows: rows['service'] == {name!r}]",
        severity=message.severity,
    )


def _message(record: ServiceRecord, result: StageResult) -> Message:
    """Return the message of a verdict, less severe for a remote host, which may be a third party's."""
    message = MESSAGES[result.diagnosis]
    is_remote = result.diagnosis == "D5b" and record.value("platform") == "remote"
    return message._replace(severity="notice") if is_remote else message


def _input(stage: str) -> str:
    """Return the sources that a stage needs, and what it checks."""
    sources, subject = INPUTS[stage]
    return f"{sources} ({subject})"


def _lacking(records: ServiceRecords, results: dict[str, list[StageResult]], answers: Answers) -> str:
    """Return how many of the newly deployed services are missing traces."""
    new = [name for name, record in records.items() if record.value("first_deployed") is not None]
    lacking = [name for name in new if main_result(results[name]).status == "fail"]
    days = (answers.end - answers.start) / 86400
    count = f"All {len(new)}" if len(lacking) == len(new) else f"{len(lacking)} of {len(new)}"
    if len(new) == 1:
        return f"No other service was first deployed in the last {days:.3g} days."
    return f"{count} services first deployed in the last {days:.3g} days are missing traces."


def _others(results: dict[str, list[StageResult]], name: str, result: StageResult) -> str:
    """Return the other services with a collection gap at the same time."""
    gap = result.numbers.get("gap")
    if gap is None:
        return ""
    same = [
        other
        for other, found in results.items()
        for one in found
        if other != name
        and one.status == "fail"
        and (theirs := one.numbers.get("gap"))
        and theirs.start < gap.end
        and gap.start < theirs.end
    ]
    return f"Same gap in {', '.join(sorted(same))}." if same else "No other service has a gap in this period."


def _change(record: ServiceRecord) -> str:
    """Return the last change before the traces ended."""
    last = record.value("last_trace")
    if last is None or record.changes is None:
        return "Last change before: unknown."
    near = [change for change in record.changes if last - HOUR / 2 <= change.at <= last + HOUR]
    if not near:
        return "Last change before: none recorded in the preceding half hour."
    return f"Last change before: {near[-1].text}."


def not_checked(answers: Answers, code: str) -> list[Finding]:
    """Return a finding per cause for the operations without an answer, and one per cluster without pods."""
    causes: dict[str, list[str]] = {}
    for operation, why in answers.failures():
        if why != "not called" or _is_needed(operation, answers):
            causes.setdefault(why, []).append(operation)
    found = [_unanswered(why, operations, code) for why, operations in causes.items()]
    for cluster in answers.hidden_clusters:
        headline = f"not checked: needs {COMMAND} of cluster {cluster}, as AWS does not report pods."
        row = pd.DataFrame({"source_call": [KUBECTL], "status": ["unknown"], "note": ["not given"]})
        remedy = f"Save it as kubectl-{cluster}.json in the audit folder, or pass it with --kubectl."
        found.append(finding("coverage.not_checked", "not_assessable", headline, row, remedy=remedy, code=code))
    return found


def _is_needed(operation: str, answers: Answers) -> bool:
    """Return whether there was anything to call an operation for."""
    if operation == FILTER:
        return any(streams(call, answers.region) for call in answers.of(DEFINITION))
    before = _FOLLOWING.get(operation, ())
    return not before or any(answers.items(one) for one in before)


def _unanswered(why: str, operations: list[str], code: str) -> Finding:
    """Return the finding about operations without an answer for the same cause."""
    permissions = {one: OPERATIONS[one].permission for one in operations}
    named = [f"{own} ({one.partition(':')[2]})" if own else one for one, own in permissions.items()]
    listed = ", ".join(named[:_NAMED]) + (f" and {len(named) - _NAMED} more" if len(named) > _NAMED else "")
    headline = f"not checked: needs {listed}." if why == DENIED else f"not checked: {listed}: {why}."
    rows = pd.DataFrame({"source_call": operations, "status": "unknown", "note": why})
    allowed = ", ".join(dict.fromkeys(own or one for one, own in permissions.items()))
    remedy = f"Allow {allowed} to these credentials." if why == DENIED else "Rerun the audit."
    if why.startswith(NOT_OFFERED):
        remedy = "Unset AWS_ENDPOINT_URL to audit AWS itself; an emulator may offer only a part of AWS."
    return finding("coverage.not_checked", "not_assessable", headline, rows, remedy=remedy, code=code)


def not_read(answers: Answers, code: str) -> list[Finding]:
    """Return a finding about the invalid lines of a folder of saved answers."""
    lines = [record.failure for record in answers.records if record.operation == UNREAD]
    if not lines:
        return []
    headline = f"not read: {len(lines):,} of {len(answers.records):,} saved AWS responses; first: {lines[0]}."
    row = pd.DataFrame({"source_call": [UNREAD] * len(lines), "status": "unknown", "note": lines})
    return [
        finding(
            "coverage.not_read", "not_assessable", headline, row, remedy="Save the audit again with --save.", code=code
        )
    ]


def not_used(records: ServiceRecords, answers: Answers, code: str) -> list[Finding]:
    """Return a finding per given log whose collector, service or task is unknown."""
    found = []
    for name in unmatched_logs(records, answers):
        headline = f"not used: log {name!r} matches no known collector, service or task."
        row = pd.DataFrame({"source_call": [LOGS], "status": ["unknown"], "note": ["no known collector has this name"]})
        remedy = f"Name the log after one of {', '.join(sorted(records)) or 'none'}; collector.log applies to all."
        found.append(finding("coverage.not_used", "not_assessable", headline, row, remedy=remedy, code=code))
    return found


_FOLLOWING = {
    "xray:BatchGetTraces": ("xray:GetTraceSummaries",),
    "ecs:ListServices": ("ecs:ListClusters",),
    "ecs:DescribeServices": ("ecs:ListServices",),
    "ecs:DescribeTaskDefinition": ("ecs:DescribeServices",),
    "ecs:ListTasks": ("ecs:ListClusters",),
    "ecs:DescribeTasks": ("ecs:ListTasks",),
    "ecs:ListServiceDeployments": ("ecs:DescribeServices",),
    "lambda:ListVersionsByFunction": ("lambda:ListFunctions",),
    "eks:DescribeCluster": ("eks:ListClusters",),
    "eks:ListAddons": ("eks:ListClusters",),
    "eks:DescribeAddon": ("eks:ListAddons",),
    "apigateway:GetStages": ("apigateway:GetRestApis",),
    "codedeploy:BatchGetDeployments": ("codedeploy:ListDeployments",),
    "codedeploy:BatchGetDeploymentGroups": ("codedeploy:BatchGetDeployments",),
    "cloudwatch:GetMetricData": ("cloudwatch:ListMetrics",),
    "iam:SimulatePrincipalPolicy": ("lambda:ListFunctions", "ecs:DescribeServices"),
    "ec2:DescribeSubnets": ("ecs:DescribeServices",),
    "ec2:DescribeRouteTables": ("ecs:DescribeServices",),
    "ec2:DescribeVpcEndpoints": ("ecs:DescribeServices",),
}
"""Operations that are called only for what other operations list."""
