"""Pulling traces from X-Ray into a folder, with an outcome for every requested id."""

from __future__ import annotations

import uuid
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from tracekit.aws.client import Caller
from tracekit.aws.prices import USD_PER_SCANNED_BYTE
from tracekit.aws.pull import insights, retrieval
from tracekit.aws.pull.account import Account
from tracekit.aws.pull.batches import fetch
from tracekit.aws.pull.ledger import Search, write_status, write_windows
from tracekit.aws.pull.result import Pull, PullEstimate, estimated, estimated_logs
from tracekit.aws.pull.search import expression, request, search_error
from tracekit.aws.pull.summaries import enumerate_ids
from tracekit.aws.pull.trace_ids import read_trace_ids, to_xray_id
from tracekit.errors import PullError
from tracekit.pull.calls import RejectedError
from tracekit.pull.folder import PullFolder
from tracekit.pull.progress import Meter, Progress
from tracekit.pull.windows import Window, instant
from tracekit.text import ratio, usd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_NOT_INDEXED = "not_indexed"
_CHOICES = {
    "source": ("xray", "logs"),
    "time_range": ("Event", "Service", "TraceId"),
    "trace_format": ("XRAY", "OTEL"),
}


class _Plan(Struct):
    """The required fields of a plan."""

    id: str
    region: str
    time_range: str
    sampling: bool | float
    source: str
    window: tuple[float, float] | None
    service: str | None
    group: str | None
    filter: str | None


def pull_xray(
    folder: str | Path,
    trace_ids: Iterable[str] | str | Path | None = None,
    *,
    service: str | None = None,
    group: str | None = None,
    filter: str | None = None,  # noqa: A002 - the name that users look for
    start: Any = None,
    end: Any = None,
    time_range: Literal["Event", "Service", "TraceId"] = "Event",
    sampling: float | bool = False,
    source: Literal["xray", "logs"] = "xray",
    trace_format: Literal["XRAY", "OTEL"] = "XRAY",
    session: Any = None,
    region: str | None = None,
    profile: str | None = None,
    concurrency: int = 4,
    attempts: int = 6,
    rounds: int = 5,
    backoff_s: float = 0.5,
    yes: bool = False,
    on_progress: Callable[[Progress], object] | None = None,
) -> Pull:
    """Pull traces from AWS X-Ray into a folder that ``tracekit.read`` reads.

    Rerun with the same folder to resume an interrupted pull; completed requests are not repeated.

    Parameters
    ----------
    folder
        Folder to write the responses to.
    trace_ids
        X-Ray ids or 32 hex digits: a list, a string separated by blanks or commas, or the ``Path`` of a file with one
        per line.
    service, group, filter
        Without ``trace_ids``: all traces of a service, of a group, or matching a filter expression, joined by AND; with
        none of these, all traces of the period.
    start, end
        The period: anything ``pandas.Timestamp`` accepts (UTC by default), or a duration before now (``"6h"``);
        default ``end``: now.  Requested in windows of at most six hours.
    time_range
        ``Event``: traces active in the period; ``Service``: by the ends of segments; ``TraceId``: by the time in the
        id, which OpenTelemetry ids do not contain.
    sampling
        A fraction in (0, 1]: X-Ray samples this fraction, with known sampling weights; True: X-Ray chooses the
        fraction, weights unknown.
    source
        ``logs``: the log group ``aws/spans`` of Transaction Search through Logs Insights, by ``trace_ids`` or
        ``service``.
    trace_format
        Format of the traces that Transaction Search stores without indexing: ``XRAY`` or ``OTEL``.
    session, region, profile
        A ``boto3.Session``, or the region and profile of a new one.
    concurrency
        Parallel API calls.
    attempts, backoff_s
        Attempts per call, and the first backoff in seconds, doubled each time up to 20 s.
    rounds
        Attempts per id that X-Ray returns as unprocessed.
    yes
        Required for more than 1,000 traces or $1; without it, the estimate is raised as a ``PullError``.
    on_progress
        Called with the progress; by default a line in a terminal.

    Returns
    -------
    Pull
        The outcome of every id, and the folder.

    Raises
    ------
    PullError
        A call failed; the responses so far are in the folder, and the same call resumes.
    ValueError
        Nothing to pull, or contradicting arguments.

    Notes
    -----
    Source: AWS X-Ray API reference (five ids per call, six hours per window).

    Examples
    --------
    >>> pull_xray("pulled", service="payments")
    Traceback (most recent call last):
    ...
    ValueError: no trace IDs and no period: pass --ids, --trace-id or --start (Python: trace_ids= or start=)
    """
    path = Path(folder)
    is_resumed = (path / ".pull" / "plan.json").exists()
    account = None if trace_ids is None else Account(read_trace_ids(trace_ids))
    selection = {
        "service": service,
        "group": group,
        "filter": filter,
        "start": None if start is None else str(start),
        "end": None if end is None else str(end),
    }
    window = None if start is None else Window(instant(start), instant("0s" if end is None else end))
    _check_selection(account, selection, window, source, is_resumed=is_resumed)
    _check_options(window, sampling, source=source, time_range=time_range, trace_format=trace_format)
    caller = Caller(
        session, region=region, profile=profile, attempts=attempts, backoff_s=backoff_s, connections=concurrency
    )
    options: dict[str, Any] = {"region": caller.region}
    if not (is_resumed and account is None and window is None):  # else those of the plan apply
        options |= {"time_range": time_range, "sampling": sampling, "source": source}
    with closing(caller), PullFolder(path, _Plan) as opened, Meter(on_progress) as meter:
        plan = opened.plan({**selection, **options}, {"window": window, "id": uuid.uuid4().hex})
        run = _Run(caller, opened, meter, plan, concurrency, rounds, backoff_s)
        return run.run(account, trace_format, is_confirmed=yes)


def _check_selection(
    account: Account | None, selection: dict[str, Any], window: Window | None, source: str, *, is_resumed: bool
) -> None:
    """Raise ValueError for arguments that select nothing, or that contradict each other or the source."""
    is_filtered = selection["group"] or selection["filter"]
    if account is None and window is None and not is_resumed:
        raise ValueError("no trace IDs and no period: pass --ids, --trace-id or --start (Python: trace_ids= or start=)")
    if account is not None and (selection["service"] or is_filtered):
        raise ValueError("expected trace_ids or a search (service, group, filter), found both; omit one")
    has_ids = account is not None or selection["service"]
    if source == "logs" and not is_resumed and (window is None or not has_ids or is_filtered):
        raise ValueError("expected start, and trace_ids or service, for source='logs', which has no groups and filters")


def _check_options(window: Window | None, sampling: float | bool, **choices: str) -> None:
    """Raise ValueError for an empty period, an impossible rate or an unknown choice."""
    if window is not None and window.end <= window.start:
        raise ValueError(f"expected an end after the start, found {window.end_time} and {window.start_time}")
    if not isinstance(sampling, bool) and not 0 < sampling <= 1:
        raise ValueError(f"expected sampling as a fraction above 0 and at most 1, or True, found {sampling!r}")
    for name, value in choices.items():
        if value not in _CHOICES[name]:
            raise ValueError(f"expected {name} {' or '.join(map(repr, _CHOICES[name]))}, found {value!r}")


class _Run:
    """One run of a pull."""

    def __init__(
        self,
        caller: Caller,
        folder: PullFolder,
        meter: Meter,
        plan: dict[str, Any],
        at_once: int,
        rounds: int,
        backoff_s: float,
    ) -> None:
        self._caller = caller
        self._folder = folder
        self._meter = meter
        self._plan = plan
        self._at_once = at_once
        self._rounds = rounds
        self._poll_s = 2 * backoff_s
        self._is_searched, self._unchecked = False, ""
        self._scan: float | None = None
        self._is_noted = False
        self._account = Account(())

    @property
    def _window(self) -> Window | None:
        """The period of the plan."""
        edges = self._plan["window"]
        return None if edges is None else Window(*edges)

    def run(self, account: Account | None, trace_format: str, *, is_confirmed: bool) -> Pull:
        """Find the ids, fetch the missing traces, and return the outcomes."""
        scanned = 0
        is_search = account is None and self._plan["source"] == "xray"
        if self._plan["source"] == "xray":
            self._is_searched, self._unchecked = retrieval.is_on(self._caller)
        if account is None:
            if self._plan["source"] == "logs":
                self._confirm(self._estimated_logs(0), is_confirmed=is_confirmed)
            account, scanned = self._ids()
        self._account = account
        for entry in self._folder.entries():
            account.record_outcomes(entry.get("ids", {}))
        left = account.waiting_count + account.counts.get(_NOT_INDEXED, 0)
        estimate = estimated(left, scanned=scanned, at_once=self._at_once)
        if self._plan["source"] == "logs" and left:
            estimate = self._estimated_logs(left)
        self._confirm(estimate, is_confirmed=is_confirmed)
        self._meter.begin(len(account), len(account) - left)
        if self._plan["source"] == "logs":
            self._logs()
        else:
            self._xray(trace_format)
        self._write_unprocessed()
        if left or self._is_noted:
            write_status(self._folder, account, self._plan["id"])
        notes = self._notes(by_time=is_search)
        return Pull(self._folder.path, account, dict(self._caller.counts), estimate, notes)

    def _estimated_logs(self, trace_count: int) -> PullEstimate:
        """Return the estimate for fetching traces from the log group, or for finding their ids if none are known."""
        window = self._window
        assert window is not None, "checked with the arguments"
        if self._scan is None:
            self._scan = insights.scanned_bytes(self._caller, window, poll_s=self._poll_s)
        passes = insights.pass_count(trace_count)
        queries = passes * insights.window_count(window)
        return estimated_logs(trace_count, queries=queries, scanned_bytes=passes * self._scan, at_once=self._at_once)

    def _confirm(self, estimate: PullEstimate, *, is_confirmed: bool) -> None:
        """Raise PullError for a large pull without confirmation."""
        if estimate.is_large and not is_confirmed:
            kept = "; the ids are kept in the folder" if self._plan["source"] == "xray" else ""
            raise PullError(f"expected confirmation of {estimate}, found none; continue with yes=True (--yes){kept}")

    def _notes(self, *, by_time: bool) -> tuple[str, ...]:
        """Return notes on an empty result, the cost of logs, and traces that X-Ray does not list."""
        return (*self._empty_note(), *self._limit_notes(by_time=by_time))

    def _empty_note(self) -> tuple[str, ...]:
        """Return a note if nothing was found."""
        window = self._window
        if len(self._account) or window is None:
            return ()
        what = f" that match {text}" if (text := expression(self._plan)) else ""
        period = f"from {window.start_time:%Y-%m-%d %H:%M} to {window.end_time:%Y-%m-%d %H:%M} UTC"
        store = "the log group aws/spans" if self._plan["source"] == "logs" else "X-Ray"
        found = f"{store} contains no traces{what} in {self._caller.region} {period}"
        hint = "check account, region, period, and the service name as in the service map"
        return (f"{found}: {hint}; X-Ray keeps traces for 30 days",)

    def _limit_notes(self, *, by_time: bool) -> tuple[str, ...]:
        """Return notes on the cost of logs, and on traces that are not indexed."""
        if scanned := self._caller.counts[insights.SCANNED]:
            cost = f"about {usd(scanned * USD_PER_SCANNED_BYTE)}"
            return (f"Logs Insights scanned {scanned / 1e9:,.3f} GB of {insights.LOG_GROUP}, {cost}",)
        if self._unchecked:
            return (f"not checked whether Transaction Search stores more traces: {self._unchecked}",)
        if not (by_time and self._is_searched):
            return ()
        share = retrieval.indexed_share(self._caller)
        indexed = "only the traces" if share is None else f"about {ratio(share)} of all traces, those"
        hint = "service=... with source='logs' finds all traces of a service"
        return (f"Transaction Search is on: X-Ray lists {indexed} that it indexes; {hint}",)

    def _record_outcomes(self, outcomes: dict[str, str]) -> None:
        """Record the outcomes of a call."""
        self._account.record_outcomes(outcomes)
        self._meter.add(sum(outcome != _NOT_INDEXED for outcome in outcomes.values()))

    # ---------------------------------------------------------------- ids

    def _ids(self) -> tuple[Account, int]:
        """Return an account of the ids of the plan, and how many traces were scanned for them."""
        window = self._window
        if window is None:
            message = (
                f"expected trace_ids for {self._folder.path}, which was started with a list of ids; pass them again"
            )
            raise PullError(message)
        if self._plan["source"] == "logs":
            service = self._plan["service"]
            ids = insights.ids_of_service(self._caller, service, window, poll_s=self._poll_s, at_once=self._at_once)
            return Account(ids), 0
        try:
            found = enumerate_ids(self._caller, self._folder, window, request(self._plan), at_once=self._at_once)
        except RejectedError as error:
            raise search_error(self._plan, error) from None
        search = Search(self._plan, request(self._plan), self._is_searched)
        self._is_noted = write_windows(self._folder, found, search)
        return Account(map(to_xray_id, found.ids)), found.scanned

    # ---------------------------------------------------------------- fetching

    def _xray(self, trace_format: str) -> None:
        """Fetch traces from X-Ray, and from Transaction Search those that X-Ray has not indexed."""
        caller, folder, account = self._caller, self._folder, self._account
        is_searched = self._is_searched
        absent = _NOT_INDEXED if is_searched else "not_found"
        fetch(caller, folder, account, self._record_outcomes, rounds=self._rounds, at_once=self._at_once, absent=absent)
        hidden = list(account.having(_NOT_INDEXED))
        if hidden and is_searched:
            failed = retrieval.retrieve(
                caller,
                folder,
                hidden,
                self._record_outcomes,
                window=self._window,
                trace_format=trace_format,
                rounds=self._rounds,
                poll_s=self._poll_s,
                at_once=self._at_once,
            )
            account.put(failed)
        elif hidden:
            account.put(dict.fromkeys(hidden, ("not_found", "Transaction Search is no longer enabled")))

    def _logs(self) -> None:
        """Fetch spans from the log group."""
        window = self._window
        assert window is not None, "checked with the arguments"
        left = list(self._account.having("unprocessed", _NOT_INDEXED))
        insights.spans_of(
            self._caller,
            self._folder,
            left,
            self._record_outcomes,
            window=window,
            poll_s=self._poll_s,
            at_once=self._at_once,
        )

    def _write_unprocessed(self) -> None:
        """Write the ids that X-Ray never processed into the folder, for its readers."""
        quoted = ",".join(f'"{trace_id}"' for trace_id in self._account.having("unprocessed"))
        if quoted:
            self._folder.append("traces", [f'{{"Traces":[],"UnprocessedTraceIds":[{quoted}]}}'.encode()])
