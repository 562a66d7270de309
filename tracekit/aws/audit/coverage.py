"""Which services are traced, which are not, and why: the coverage audit and its result."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tracekit.aws.audit import folder as audit_folder
from tracekit.aws.audit.answers import drop_malformed
from tracekit.aws.audit.changes import read_changes
from tracekit.aws.audit.clusters import read_kubectl
from tracekit.aws.audit.containers import read_containers
from tracekit.aws.audit.findings import (
    EVIDENCE_COLUMNS,
    SERVICE_COLUMNS,
    diagnosis_finding,
    evidence,
    not_checked,
    not_read,
    not_used,
    row,
)
from tracekit.aws.audit.functions import read_functions, read_requests
from tracekit.aws.audit.gateways import read_gateways
from tracekit.aws.audit.graph import read_documents, read_graph
from tracekit.aws.audit.kubernetes import read_addons, read_kubernetes
from tracekit.aws.audit.logs import read_logs
from tracekit.aws.audit.losses import read_losses
from tracekit.aws.audit.messages import GAP, INCOMPLETE, LABELS
from tracekit.aws.audit.retrieval import HOUR, retrieve
from tracekit.aws.audit.service_record import ServiceRecords
from tracekit.aws.audit.settings import read_closing_list, read_groups, read_rules
from tracekit.aws.audit.tree import AuditContext, assess_service, main_result
from tracekit.aws.reader import Reader
from tracekit.errors import MISSHAPEN
from tracekit.findings import Findings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.aws.audit.answers import Answers
    from tracekit.aws.audit.tree import StageResult
    from tracekit.findings import Finding

_LAG_S = 600  # ingestion lag: younger traces may still arrive


@dataclass(frozen=True)
class CoverageAudit:
    """The trace coverage of every service.

    Parameters
    ----------
    services
        One row per service, indexed by ``service``: ``diagnosis_code`` (``OK``, or ``T8u`` if nothing failed but not
        all was checked; ``overview`` shows every code in words), ``diagnoses`` (all codes) and the facts; missing means
        unknown.
    evidence
        One row per service, stage and fact: ``step`` of data collection, ``stage`` of the decision tree, ``observed``,
        ``status`` (``pass``, ``fail``, ``unknown``, ``not_needed``), ``source_call``, ``as_of``, the relevant part of
        the AWS response (``answer``).
    findings
        One per diagnosis, and one per operation that failed or was denied.
    answers
        The AWS responses.

    Examples
    --------
    >>> audit_coverage(from_folder="audit-shop").alarms["TraceCollectionGapDetected"]
    ['catalogue']
    """

    services: pd.DataFrame
    evidence: pd.DataFrame = field(repr=False)
    findings: Findings = field(repr=False)
    answers: Answers = field(repr=False)

    @property
    def alarms(self) -> dict[str, list[str]]:
        """The services for which each of two alarms should fire; remote hosts are excluded."""
        found = self.services.loc[self.services["platform"] != "remote", "diagnoses"]
        return {
            name: [str(service) for service, diagnoses in found.items() if codes & set(diagnoses)]
            for name, codes in (("TraceCoverageIncomplete", INCOMPLETE), ("TraceCollectionGapDetected", GAP))
        }

    @property
    def overview(self) -> pd.DataFrame:
        """One row per service, those missing traces first.

        ``diagnosis_code``, ``diagnosis`` (short text), ``platform``, ``requests``, ``recorded`` traces, and the
        ``collector`` of containers; missing means unknown.
        """
        failing = {service for services in self.alarms.values() for service in services}
        table = self.services[["diagnosis_code", "platform", "requests", "recorded", "collector"]].copy()
        table.insert(1, "diagnosis", table["diagnosis_code"].map(LABELS))
        table["collector"] = table["collector"].where(table["platform"] == "container")  # only containers need one
        for name in ("requests", "recorded"):
            table[name] = pd.to_numeric(table[name]).round().astype("Int64")
        codes = table["diagnosis_code"].to_dict()
        order = sorted(codes, key=lambda name: (name not in failing, codes[name] == "OK", name))
        return table.loc[order]

    @property
    def summary(self) -> str:
        """The number of services that are missing traces, OK, or neither."""
        if self.services.empty:
            return "no services found: check the region, the account, and the operations that were not checked"
        failing = {service for services in self.alarms.values() for service in services}
        codes = self.services["diagnosis_code"]
        ok = int((codes == "OK").sum())
        rest = codes[(codes != "OK") & ~codes.index.isin(failing)]
        kinds = f" ({', '.join(sorted(rest.map(LABELS).unique()))})" if len(rest) else ""
        verb = "is" if len(failing) == 1 else "are"
        return (
            f"{len(failing):,} of {len(codes):,} services {verb} missing traces; {ok:,} OK; {len(rest):,} other{kinds}"
        )

    def __repr__(self) -> str:
        counts = ", ".join(
            f"{count:,} {word}" for word, count in self.services["diagnosis_code"].value_counts().items()
        )
        return f"CoverageAudit({self.answers.region}: {len(self.services):,} services: {counts or 'none'})"

    def _repr_html_(self) -> str:
        shown = self.overview.to_html(
            na_rep="", justify="left", formatters=dict.fromkeys(("requests", "recorded"), _count)
        )
        title = f"{self.answers.region}: {self.summary}"
        return f"<p>{html.escape(title)}</p>{shown}{self.findings._repr_html_()}"


def _count(number: Any) -> str:
    """Return a count with thousands separators."""
    return "unknown" if pd.isna(number) else f"{number:,.0f}"


def audit_coverage(
    session: Any = None,
    *,
    region: str | None = None,
    profile: str | None = None,
    days: float = 7,
    until: Any = None,
    services: Sequence[str] | None = None,
    requests: pd.DataFrame | None = None,
    min_incident_requests: int | tuple[int, int] | None = None,
    kubectl: str | Path | Sequence[str | Path] = (),
    logs: str | Path | Sequence[str | Path] = (),
    from_folder: str | Path | None = None,
    save: str | Path | None = None,
) -> CoverageAudit:
    """Audit trace coverage: find the services that are not fully traced, and the cause.

    Collects data from AWS in eight steps and applies a decision tree to every service.  Only read operations of AWS are
    called.  Checks that are denied or fail are reported as *not checked*, never as OK.

    Parameters
    ----------
    session
        A ``boto3.Session``; by default a new one with boto3's credential chain.
    region, profile
        As in boto3.
    days
        Length of the period.
    until
        End of the period; by default ten minutes ago.  Periods are whole hours.
    services
        Names of services to audit; all by default.
    requests
        Request counts: ``service``, ``count`` and ``time``; they take precedence over those of CloudWatch.
    min_incident_requests
        Size of the smallest incident that traces must capture, in requests, optionally with the number of traces needed
        (1); the sampling rate is checked only if this is given.
    kubectl
        Output of ``kubectl get pods,deployments,daemonsets -A -o json``, one file per cluster: ``kubectl-shop.json``
        belongs to the cluster ``shop``.
    logs
        Logs of collectors and X-Ray daemons, raw or as printed by ``kubectl logs`` or ``aws logs filter-log-events``,
        one file per collector: ``collector-adot.log`` is matched to the collector, service or task ``adot``,
        ``collector.log`` to all.  Dropped spans in a log are used as evidence; a log without dropped spans does not
        show that none were dropped.
    from_folder
        A folder of saved AWS responses to audit offline, or the name of a bundled one (``audit-shop``);
        ``kubectl*.json`` and ``collector*.log`` files in it are read, too.
    save
        A new folder to save the AWS responses to.

    Returns
    -------
    CoverageAudit
        ``.overview``, ``.services``, ``.evidence``, ``.findings``.

    Raises
    ------
    PullError
        No region, no credentials, or invalid credentials.
    LoadError
        The folder contains no saved AWS responses, or the folder to save to is not empty.
    ValueError
        Invalid arguments.

    Notes
    -----
    Missing traces are reported only if p < 1% under the sampling rules.  Expected traces come from the sampling rules
    and the requests per hour, assumed evenly spread within the hour; for a service that is not a root, from the rules
    of the services that start the traces.  Collection gaps are found by a scan over hours.

    Examples
    --------
    >>> audit = audit_coverage(from_folder="audit-shop")
    >>> audit.services.loc["resize-images", "diagnosis_code"]
    'D1b'
    >>> print(next(finding for finding in audit.findings if finding.check == "coverage.D1b"))
    warning: resize-images: TracingConfig.Mode is PassThrough, which follows upstream sampling decisions only: 0 of 9,362 invocations have traces. Set Mode=Active.
    """  # noqa: E501 - the last line is one sentence
    if not days > 0:
        raise ValueError(f"expected days above 0, found {days!r}")
    min_incident_requests = _as_pair(min_incident_requests)
    files, lines = ([paths] if isinstance(paths, (str, Path)) else list(paths) for paths in (kubectl, logs))
    saved = [*read_kubectl(files), *read_logs(lines)]
    if from_folder is not None:
        answers = audit_folder.load(from_folder).including(saved)
    else:
        reader = Reader(session, region=region, profile=profile)
        start, end = _period(days, until)
        answers = retrieve(reader, start, end, saved)
    if save is not None:
        audit_folder.save(answers, save)
    arguments: dict[str, Any] = {"region": answers.region, "days": round((answers.end - answers.start) / 86400, 2)}
    saved_to = save if save is not None else from_folder
    if saved_to is not None:
        arguments = {"from_folder": str(saved_to)}
    arguments["min_incident_requests"] = min_incident_requests
    for name, paths in (("kubectl", files), ("logs", lines)):
        if paths and save is None:
            arguments[name] = [str(file) for file in paths]
    call = ", ".join(f"{name}={value!r}" for name, value in arguments.items() if value is not None)
    return audit_answers(
        answers,
        services=services,
        requests=requests,
        min_incident_requests=min_incident_requests,
        code=f"tk.audit_coverage({call})",
    )


def _period(days: float, until: Any) -> tuple[int, int]:
    """Return the audited period: whole hours, in seconds since the epoch."""
    now = datetime.now(UTC).timestamp() - _LAG_S
    moment = now if until is None else pd.Timestamp(until).timestamp()
    end = int(moment // HOUR) * HOUR
    return end - max(1, round(days * 24)) * HOUR, end


def _as_pair(smallest: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """Return the size of the smallest incident, in requests, and the number of traces needed of it."""
    pair = (smallest, 1) if isinstance(smallest, int) else smallest
    if pair is not None and not (len(pair) == 2 and pair[0] >= pair[1] > 0):  # noqa: PLR2004 - a pair
        raise ValueError(
            f"expected min_incident_requests as a number of requests and at most as many traces, found {pair!r}"
        )
    return pair


def audit_answers(
    answers: Answers,
    *,
    services: Sequence[str] | None = None,
    requests: pd.DataFrame | None = None,
    min_incident_requests: tuple[int, int] | None = None,
    code: str = "",
) -> CoverageAudit:
    """Return the audit of recorded answers; malformed ones are reported as failed."""
    try:
        return _audit(answers, services, requests, min_incident_requests, code)
    except MISSHAPEN:
        valid = drop_malformed(answers, lambda some: _audit(some, None, requests, min_incident_requests, code))
        if valid is None:  # the answers are not the cause
            raise
    return _audit(valid, services, requests, min_incident_requests, code)


def _audit(
    answers: Answers,
    services: Sequence[str] | None,
    requests: pd.DataFrame | None,
    min_incident_requests: tuple[int, int] | None,
    code: str,
) -> CoverageAudit:
    """Return the audit of well-formed answers."""
    records, results = diagnose(answers, requests, min_incident_requests)
    findings: list[Finding] = []
    wide, long = [], []
    for name in _chosen(records, services):
        first = main_result(results[name])
        rows = evidence(records[name], results[name])
        long += rows
        diagnosed = [first, *(one for one in results[name] if one.diagnosis and one is not first)]
        if first.diagnosis == "OK" and min_incident_requests is None:
            diagnosed = [one for one in diagnosed if one.diagnosis != "D3c"]  # the same statement
        wide.append(row(records[name], first, diagnosed))
        findings += [diagnosis_finding(records, results, name, one, answers, rows, code) for one in diagnosed]
    findings += [*not_checked(answers, code), *not_read(answers, code), *not_used(records, answers, code)]
    frame = pd.DataFrame(wide, columns=["service", "diagnosis_code", "diagnoses", *SERVICE_COLUMNS]).set_index(
        "service"
    )
    return CoverageAudit(frame, pd.DataFrame(long, columns=list(EVIDENCE_COLUMNS)), Findings(findings), answers)


def _chosen(records: ServiceRecords, services: Sequence[str] | None) -> Sequence[str]:
    """Return the services to report on; ValueError for unknown ones."""
    if services is None:
        return sorted(records)
    if unknown := sorted(set(services) - set(records)):
        expected = f"services among {', '.join(sorted(records))}" if records else "no services=, as none were found"
        raise ValueError(f"expected {expected}, found {', '.join(unknown)}")
    return services


def diagnose(
    answers: Answers, requests: pd.DataFrame | None = None, min_incident_requests: tuple[int, int] | None = None
) -> tuple[ServiceRecords, dict[str, list[StageResult]]]:
    """Return the record of every service, and its verdicts."""
    records = ServiceRecords()
    read_functions(records, answers)
    targets = read_containers(records, answers)
    targets |= read_kubernetes(records, answers)
    targets |= read_gateways(records, answers)
    read_requests(records, answers, targets, requests)
    read_graph(records, answers)
    read_addons(records, answers)
    read_losses(records, answers)
    read_documents(records, answers)
    read_rules(records, answers)
    read_changes(records, answers)
    read_groups(records, answers)
    read_closing_list(records, answers)
    context = AuditContext(answers.is_complete("lambda:ListFunctions"), answers.has_containers, min_incident_requests)
    return records, {name: assess_service(records[name], records, context) for name in records}
