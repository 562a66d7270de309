"""Which services are traced, which are not, and why: the coverage playbook, executed."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tracekit.aws.audit import folder as audit_folder
from tracekit.aws.audit.calls import Reader
from tracekit.aws.audit.changes import read_changes
from tracekit.aws.audit.clusters import read_saved
from tracekit.aws.audit.containers import read_containers
from tracekit.aws.audit.findings import EVIDENCE, WIDE, evidence, finding, not_checked, not_read, not_used, row
from tracekit.aws.audit.functions import read_functions, read_requests
from tracekit.aws.audit.gateways import read_gateways
from tracekit.aws.audit.graph import read_documents, read_graph
from tracekit.aws.audit.kubernetes import read_addons, read_kubernetes
from tracekit.aws.audit.logs import read_logs
from tracekit.aws.audit.losses import read_losses
from tracekit.aws.audit.messages import GAP, INCOMPLETE, SHORT
from tracekit.aws.audit.odd_answers import without_odd
from tracekit.aws.audit.retrieval import HOUR, retrieve
from tracekit.aws.audit.service_record import ServiceRecords
from tracekit.aws.audit.settings import read_closing_list, read_groups, read_rules
from tracekit.aws.audit.tree import Known, headline, judge_service
from tracekit.errors import MISSHAPEN
from tracekit.findings import Findings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.aws.audit.answers import Answers
    from tracekit.aws.audit.tree import Verdict
    from tracekit.findings import Finding

_LAG_S = 600  # traces that young may still be on their way


@dataclass(frozen=True)
class CoverageAudit:
    """What is known about the tracing of every service, and what follows from it.

    Parameters
    ----------
    services
        One row a service, indexed by ``service``: ``headline`` (a diagnosis of the playbook, ``OK``, or ``T8u`` where
        nothing failed and something is not known), ``diagnoses`` (all of them) and the facts; missing is unknown.
    evidence
        One row a service, stage and fact: ``step`` of the playbook, ``stage`` of the tree, ``observed``, ``status``
        (``pass``, ``fail``, ``unknown``, ``not_needed``), ``source_call``, ``as_of``, the part of the ``answer`` that
        it rests on.
    findings
        One for every diagnosis, and for everything that could not be asked.
    answers
        What AWS said.

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
        """The services for which the playbook's two alarms stand; a host that may be anybody's is none."""
        found = self.services.loc[self.services["platform"] != "remote", "diagnoses"]
        return {
            name: [str(service) for service, told in found.items() if codes & set(told)]
            for name, codes in (("TraceCoverageIncomplete", INCOMPLETE), ("TraceCollectionGapDetected", GAP))
        }

    @property
    def overview(self) -> pd.DataFrame:
        """One row a service, those that lack traces first: ``headline``, ``verdict`` in words, and the numbers behind.

        ``platform``, ``requests`` and ``recorded`` traces, and the ``collector`` of containers; missing is unknown.
        """
        failing = {service for services in self.alarms.values() for service in services}
        told = self.services[["diagnosis_code", "platform", "requests", "recorded", "collector"]].copy()
        told.insert(1, "diagnosis", told["diagnosis_code"].map(SHORT))
        told["collector"] = told["collector"].where(told["platform"] == "container")  # nobody else needs one
        for name in ("requests", "recorded"):
            told[name] = pd.to_numeric(told[name]).round().astype("Int64")
        heads = told["diagnosis_code"].to_dict()
        order = sorted(heads, key=lambda name: (name not in failing, heads[name] == "OK", name))
        return told.loc[order]

    @property
    def summary(self) -> str:
        """How many services lack traces, how many are traced as the rules say, and how many are neither."""
        if self.services.empty:
            return "no service is known, so none was judged: see what was not checked, the region and the account"
        failing = len({service for services in self.alarms.values() for service in services})
        well = int((self.services["diagnosis_code"] == "OK").sum())
        rest = len(self.services) - failing - well
        return f"{failing:,} lack traces, {well:,} are traced as the rules say, {rest:,} are neither"

    def __repr__(self) -> str:
        counts = ", ".join(
            f"{count:,} {word}" for word, count in self.services["diagnosis_code"].value_counts().items()
        )
        return f"CoverageAudit({self.answers.region}: {len(self.services):,} services: {counts or 'none'})"

    def _repr_html_(self) -> str:
        shown = self.overview.to_html(
            na_rep="", justify="left", formatters=dict.fromkeys(("requests", "recorded"), _count)
        )
        found = f"{len(self.services):,} services in {self.answers.region}: {self.summary}"
        return f"<p>{html.escape(found)}</p>{shown}{self.findings._repr_html_()}"


def _count(number: Any) -> str:
    """Return a count as one reads it."""
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
    """Execute the coverage playbook: its eight retrieval steps, its decision tree, its five diagnoses.

    Nothing is written to AWS, and only read operations of a list are called.  What is not allowed or not answered is
    *not checked*, never fine.

    Parameters
    ----------
    session
        A ``boto3.Session``; by default a new one, which finds its credentials as boto3 does.
    region, profile
        As boto3 takes them.
    days
        How far to look back.
    until
        The end of the period; by default ten minutes ago.  Periods are whole hours.
    services
        Only these; all by default.
    requests
        Requests that somebody counted: ``service``, ``count`` and ``time``; they beat those of CloudWatch.
    min_incident_requests
        How often the smallest incident happens that must not be missed, and how many traces of it are needed (1); the
        sampling rate is judged against it, and not judged without.
    kubectl
        The output of ``kubectl get pods,deployments,daemonsets -A -o json``, one file a cluster, which tells what runs
        in it: ``kubectl-shop.json`` is of the cluster ``shop``.
    logs
        Logs of collectors and X-Ray daemons as these wrote them, or as ``kubectl logs`` and ``aws logs
        filter-log-events`` printed them, one file a collector: ``collector-adot.log`` is of the collector, the service
        or the task ``adot``, ``collector.log`` of all.  Lost spans in them are evidence; their absence is none.
    from_folder
        A folder of saved answers instead of AWS, or the name of one that comes with tracekit (``audit-shop``); files
        ``kubectl*.json`` and ``collector*.log`` in it are read, too.
    save
        A new folder for the answers.

    Returns
    -------
    CoverageAudit
        ``.overview``, ``.services``, ``.evidence``, ``.findings``.

    Raises
    ------
    PullError
        No region, no credentials, or credentials that are of no use.
    LoadError
        The folder holds no saved answers, or there is something in the one to save to.
    ValueError
        Arguments that cannot be.

    Notes
    -----
    Absence of traces proves something only where chance explains it with less than 1 %.  Expected traces come from the
    sampling rules and the requests of every hour, taken as spread evenly within the hour; of a service that follows
    others, from the rules of those that begin the traces.  Holes are found by a scan over hours.  Source: the coverage
    playbook; ``spec/sampling.md`` section 10.

    Examples
    --------
    >>> audit = audit_coverage(from_folder="audit-shop")
    >>> audit.services.loc["resize-images", "diagnosis_code"]
    'D1b'
    >>> print(next(finding for finding in audit.findings if finding.check == "coverage.D1b"))
    warning: resize-images: TracingConfig.Mode is PassThrough; it only follows a sampled upstream header, and 0 of 9,362 invocations carried one. Set Mode=Active.
    """  # noqa: E501 - the last line is one sentence
    if not days > 0:
        raise ValueError(f"expected days above 0, found {days!r}")
    min_incident_requests = _as_pair(min_incident_requests)
    files, lines = ([given] if isinstance(given, (str, Path)) else list(given) for given in (kubectl, logs))
    saved = [*read_saved(files), *read_logs(lines)]
    if from_folder is not None:
        answers = audit_folder.load(from_folder).including(saved)
    else:
        reader = Reader(session, region=region, profile=profile)
        start, end = _period(days, until)
        answers = retrieve(reader, start, end, saved)
    if save is not None:
        audit_folder.save(answers, save)
    given: dict[str, Any] = {"region": answers.region, "days": round((answers.end - answers.start) / 86400, 2)}
    kept = save if save is not None else from_folder
    given = {**(given if kept is None else {"from_folder": str(kept)}), "min_incident_requests": min_incident_requests}
    for name, those in (("kubectl", files), ("logs", lines)):
        if those and save is None:
            given[name] = [str(file) for file in those]
    call = ", ".join(f"{name}={value!r}" for name, value in given.items() if value is not None)
    return conclude(
        answers,
        services=services,
        requests=requests,
        min_incident_requests=min_incident_requests,
        code=f"tk.audit_coverage({call})",
    )


def _period(days: float, until: Any) -> tuple[int, int]:
    """Return the whole hours that are looked at, as seconds since the epoch."""
    now = datetime.now(UTC).timestamp() - _LAG_S
    moment = now if until is None else pd.Timestamp(until).timestamp()
    end = int(moment // HOUR) * HOUR
    return end - max(1, round(days * 24)) * HOUR, end


def _as_pair(smallest: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """Return the requests of the smallest incident and how many traces of it are needed."""
    pair = (smallest, 1) if isinstance(smallest, int) else smallest
    if pair is not None and not (len(pair) == 2 and pair[0] >= pair[1] > 0):  # noqa: PLR2004 - a pair
        raise ValueError(f"expected min_incident_requests as occurrences and at most as many traces, found {pair!r}")
    return pair


def conclude(
    answers: Answers,
    *,
    services: Sequence[str] | None = None,
    requests: pd.DataFrame | None = None,
    min_incident_requests: tuple[int, int] | None = None,
    code: str = "",
) -> CoverageAudit:
    """Return what follows from answers."""
    try:
        return _concluded(answers, services, requests, min_incident_requests, code)
    except MISSHAPEN:
        sound = without_odd(answers, lambda those: _concluded(those, None, requests, min_incident_requests, code))
        if sound is None:  # it is not the answers
            raise
    return _concluded(sound, services, requests, min_incident_requests, code)


def _concluded(
    answers: Answers,
    services: Sequence[str] | None,
    requests: pd.DataFrame | None,
    min_incident_requests: tuple[int, int] | None,
    code: str,
) -> CoverageAudit:
    """Return what follows from answers, each of the shape that its operation has."""
    sheets, verdicts = judged(answers, requests, min_incident_requests)
    chosen = sorted(sheets) if services is None else [name for name in services if name in sheets]
    if services is not None and (strange := sorted(set(services) - set(sheets))):
        known = f"services among {', '.join(sorted(sheets))}" if sheets else "no choice of services, as none is known"
        raise ValueError(f"expected {known}, found {', '.join(strange)}")
    findings: list[Finding] = []
    wide, long = [], []
    for name in chosen:
        first = headline(verdicts[name])
        rows = evidence(sheets[name], verdicts[name])
        long += rows
        told = [first, *(one for one in verdicts[name] if one.diagnosis and one is not first)]
        if first.diagnosis == "OK" and min_incident_requests is None:
            told = [one for one in told if one.diagnosis != "D3c"]  # says the same in other words
        wide.append(row(sheets[name], first, told))
        findings += [finding(sheets, verdicts, name, one, answers, rows, code) for one in told]
    findings += [*not_checked(answers, code), *not_read(answers, code), *not_used(sheets, answers, code)]
    frame = pd.DataFrame(wide, columns=["service", "diagnosis_code", "diagnoses", *WIDE]).set_index("service")
    return CoverageAudit(frame, pd.DataFrame(long, columns=list(EVIDENCE)), Findings(findings), answers)


def judged(
    answers: Answers, requests: pd.DataFrame | None = None, min_incident_requests: tuple[int, int] | None = None
) -> tuple[ServiceRecords, dict[str, list[Verdict]]]:
    """Return what the answers say about every service, and what the stages of the tree say to that."""
    sheets = ServiceRecords()
    read_functions(sheets, answers)
    targets = read_containers(sheets, answers)
    targets |= read_kubernetes(sheets, answers)
    targets |= read_gateways(sheets, answers)
    read_requests(sheets, answers, targets, requests)
    read_graph(sheets, answers)
    read_addons(sheets, answers)
    read_losses(sheets, answers)
    read_documents(sheets, answers)
    read_rules(sheets, answers)
    read_changes(sheets, answers)
    read_groups(sheets, answers)
    read_closing_list(sheets, answers)
    known = Known(answers.is_complete("lambda:ListFunctions"), answers.has_containers, min_incident_requests)
    return sheets, {name: judge_service(sheets[name], sheets, known) for name in sheets}
