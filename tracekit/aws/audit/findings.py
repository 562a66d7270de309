"""From verdicts to what a reader sees: the table of services, the evidence, and a finding for every diagnosis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from tracekit.aws.audit.answers import DENIED, KUBECTL, LOGS, OPERATIONS, UNREAD
from tracekit.aws.audit.clusters import COMMAND
from tracekit.aws.audit.containers import DEFINITION
from tracekit.aws.audit.expected import expected_traces
from tracekit.aws.audit.logs import FILTER
from tracekit.aws.audit.losses import UNSEEN, strangers, streams
from tracekit.aws.audit.messages import CLOSING, WORDS, Words, estimate_of, values_of
from tracekit.aws.audit.retrieval import HOUR
from tracekit.aws.audit.service_record import when
from tracekit.aws.audit.tree import STAGES, headline
from tracekit.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracekit.aws.audit.answers import Answers
    from tracekit.aws.audit.service_record import Fact, ServiceRecord, ServiceRecords
    from tracekit.aws.audit.tree import Verdict
    from tracekit.stats.gap_scan import Gap

WIDE = (
    "platform",
    "tracing_mode",
    "switched_off",
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
EVIDENCE = (
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
_TIMES = ("first_trace", "last_trace", "first_deployed")


def row(sheet: ServiceRecord, first: Verdict, told: list[Verdict]) -> dict[str, Any]:
    """Return the row of a service."""
    row: dict[str, Any] = {name: sheet.value(name) for name in WIDE}
    for name in _TIMES:
        row[name] = None if row[name] is None else pd.Timestamp(row[name], unit="s", tz="UTC")
    codes = tuple(dict.fromkeys(one.diagnosis for one in told))
    return {"service": sheet.name, "diagnosis_code": first.diagnosis, "diagnoses": codes, **row}


def evidence(sheet: ServiceRecord, verdicts: list[Verdict]) -> list[dict[str, Any]]:
    """Return a row for every fact of every stage, and one for a stage without facts."""
    rows = []
    for one in verdicts:
        facts = [sheet.facts[name] for name in STAGES[one.stage] if name in sheet.facts]
        about = {"service": sheet.name, "stage": one.stage, "status": one.status, "diagnosis": one.diagnosis}
        rows += [{**_dated(fact)._asdict(), **about, **_unseen(fact)} for fact in facts]
        if (gap := one.numbers.get("gap")) and sheet.recorded is not None and sheet.requests is not None:
            rows += [{**fact._asdict(), **about} for fact in _around(sheet, gap)]
        if not facts:
            empty = dict.fromkeys(("fact", "source_call", "as_of", "answer"), "")
            rows.append({**empty, **about, "step": 0, "observed": None, "note": f"needs {CLOSING[one.stage]}"})
    return rows


def _unseen(fact: Fact) -> dict[str, Any]:
    """Return the status of a fact that nobody looked at, whatever its stage says."""
    return {"status": "unknown"} if isinstance(fact.observed, str) and fact.observed == UNSEEN else {}


def _dated(fact: Fact) -> Fact:
    """Return a fact whose time can be read."""
    return fact._replace(observed=f"{when(fact.observed)} UTC") if fact.fact in _TIMES else fact


def _around(sheet: ServiceRecord, gap: Gap) -> Iterator[Fact]:
    """Yield what the hours of a hole held, with two more on either side."""
    hours = slice(max(0, gap.start - _MARGIN), gap.end + _MARGIN)
    for name, counts in (("recorded", sheet.recorded), ("requests", sheet.requests)):
        told, source = counts[hours].astype(int).tolist() if counts is not None else [], sheet.facts[name]
        note = f"by the hour, from {_MARGIN} hours before the hole to {_MARGIN} after"
        yield source._replace(fact=f"{name}_by_hour", observed=told, answer=str(told), note=note)


def finding(
    sheets: ServiceRecords,
    verdicts: dict[str, list[Verdict]],
    name: str,
    verdict: Verdict,
    answers: Answers,
    rows: list[dict[str, Any]],
    code: str,
) -> Finding:
    """Return a verdict in words, with the answers that it rests on."""
    sheet, words = sheets[name], _words(sheets[name], verdict)
    unknown = [one.stage for one in verdicts[name] if one.status == "unknown"]
    share = next((one.numbers for one in verdicts[name] if "ratio" in one.numbers), {})
    expected = expected_traces(sheet, sheets)
    extra = {
        "days": f"{(answers.end - answers.start) / 86400:.3g}",
        "region": answers.region,
        "start": answers.start,
        "lacking": _lacking(sheets, verdicts, answers),
        "others": _others(verdicts, name, verdict),
        "unknown": ", ".join(CLOSING[stage].rpartition(" (")[2].rstrip(")") for stage in unknown),
        "closing": "To settle it: " + "; ".join(CLOSING[stage] for stage in unknown) + ".",
        "change": _change(sheet),
        "expected": "an unknown number of" if expected is None else f"about {(expected.low + expected.high) / 2:,.0f}",
    }
    told = verdict._replace(numbers={**share, **verdict.numbers})
    values = values_of(sheet, told, {**extra, "days": (answers.end - answers.start) / 86400}) | {"days": extra["days"]}
    stage_rows = [row for row in rows if verdict.stage in {row["stage"], "T8"}]
    exemplars = (sheet.value("propagation") or {}).get("exemplars", ()) if verdict.diagnosis == "D5c" else ()
    assumptions = ["requests are spread evenly within an hour"] if "ratio" in told.numbers else []
    if verdict.diagnosis.startswith("D3b") and sheet.value("destination") is None:
        assumptions.append("every kept trace is indexed: the destination of the segments is not known")
    return Finding(
        f"coverage.{verdict.diagnosis}",
        words.severity,
        words.text.format(**values),
        estimate_of(sheet, verdict),
        pd.DataFrame(stage_rows, columns=list(EVIDENCE)),
        tuple(exemplars),
        tuple(assumptions),
        words.remedy.format(**values),
        f"{code}.evidence.loc[lambda rows: rows['service'] == {name!r}]",
    )


def _words(sheet: ServiceRecord, verdict: Verdict) -> Words:
    """Return the words of a verdict; of a host that may be anybody's, they weigh less."""
    words = WORDS[verdict.diagnosis]
    is_strange = verdict.diagnosis == "D5b" and sheet.value("platform") == "remote"
    return words._replace(severity="notice") if is_strange else words


def _lacking(sheets: ServiceRecords, verdicts: dict[str, list[Verdict]], answers: Answers) -> str:
    """Return how many of the newly deployed services are not traced."""
    new = [name for name, sheet in sheets.items() if sheet.value("first_deployed") is not None]
    lacking = [name for name in new if headline(verdicts[name]).status == "fail"]
    days = (answers.end - answers.start) / 86400
    return f"{len(lacking)} of {len(new)} services first deployed in the last {days:.3g} days lack it."


def _others(verdicts: dict[str, list[Verdict]], name: str, verdict: Verdict) -> str:
    """Return which other services have a hole at the same time."""
    gap = verdict.numbers.get("gap")
    if gap is None:
        return ""
    same = [
        other
        for other, found in verdicts.items()
        for one in found
        if other != name
        and one.status == "fail"
        and (theirs := one.numbers.get("gap"))
        and theirs.start < gap.end
        and gap.start < theirs.end
    ]
    return f"Same window in {', '.join(sorted(same))}." if same else "No other service has a hole in that time."


def _change(sheet: ServiceRecord) -> str:
    """Return the change that lies nearest before the end of the traces."""
    last = sheet.value("last_trace")
    if last is None or sheet.changes is None:
        return "Which change came before is not known."
    near = [change for change in sheet.changes if last - HOUR / 2 <= change.at <= last + HOUR]
    if not near:
        return "No change is known in the half hour before."
    return f"{near[-1].told} came before."


def not_checked(answers: Answers, code: str) -> list[Finding]:
    """Return what could not be asked: needs a permission, or failed."""
    found = []
    for operation, why in answers.failures():
        before = _FOLLOWING.get(operation, ())
        if why == "not asked" and before and not any(answers.items(one) for one in before):
            continue  # nothing was listed to ask about
        has_logs = any(streams(call, answers.region) for call in answers.of(DEFINITION))
        if why == "not asked" and operation == FILTER and not has_logs:
            continue
        permission = OPERATIONS[operation].permission
        named = f"{permission} ({operation.partition(':')[2]})" if permission else operation
        said = f"not checked: needs {named}" + ("" if why == DENIED else f" ({why})")
        row = pd.DataFrame({"source_call": [operation], "status": ["unknown"], "note": [why]})
        remedy = f"Allow {permission or operation} to these credentials." if why == DENIED else "Audit again."
        found.append(Finding("coverage.not_checked", "notice", f"{said}.", None, row, remedy=remedy, code=code))
    for cluster in answers.hidden_clusters:
        said = f"not checked: needs {COMMAND} of cluster {cluster}, whose API server AWS does not speak for."
        row = pd.DataFrame({"source_call": [KUBECTL], "status": ["unknown"], "note": ["not given"]})
        remedy = f"Save it as kubectl-{cluster}.json in the folder of the audit, or give it with --kubectl."
        found.append(Finding("coverage.not_checked", "notice", said, None, row, remedy=remedy, code=code))
    return found


def not_read(answers: Answers, code: str) -> list[Finding]:
    """Return the lines of a folder of saved answers that are none."""
    lines = [record.failure for record in answers.records if record.operation == UNREAD]
    if not lines:
        return []
    said = f"not read: {len(lines):,} of {len(answers.records):,} saved answers; first: {lines[0]}."
    row = pd.DataFrame({"source_call": [UNREAD] * len(lines), "status": "unknown", "note": lines})
    return [Finding("coverage.not_read", "notice", said, None, row, remedy="Save the audit again.", code=code)]


def not_used(sheets: ServiceRecords, answers: Answers, code: str) -> list[Finding]:
    """Return the logs that were given and are of nobody who is known."""
    found = []
    for name in strangers(sheets, answers):
        said = f"not used: expected a log of a collector, service or task that is known, found one of {name!r}."
        row = pd.DataFrame({"source_call": [LOGS], "status": ["unknown"], "note": ["of nobody who is known"]})
        remedy = f"Name the log after one of {', '.join(sorted(sheets)) or 'none'}; collector.log is of all."
        found.append(Finding("coverage.not_used", "notice", said, None, row, remedy=remedy, code=code))
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
"""Operations that are asked only about what others list."""
