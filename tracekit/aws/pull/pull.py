"""Pulling traces from X-Ray into a folder, every asked id accounted for."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tracekit.aws.client import Caller, RefusedError
from tracekit.aws.prices import USD_PER_SCANNED_BYTE
from tracekit.aws.pull import insights, retrieval
from tracekit.aws.pull.account import Account
from tracekit.aws.pull.batches import fetch
from tracekit.aws.pull.folder import PullFolder
from tracekit.aws.pull.progress import Meter, Progress
from tracekit.aws.pull.result import Pull, PullEstimate, estimated, estimated_logs
from tracekit.aws.pull.summaries import enumerate_ids
from tracekit.aws.pull.trace_ids import read_trace_ids, to_xray_id
from tracekit.aws.pull.windows import Window, instant
from tracekit.errors import FilterError, PullError
from tracekit.expressions.parsing import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_NOT_INDEXED = "not_indexed"


def pull_xray(
    folder: str | Path,
    trace_ids: Iterable[str] | str | Path | None = None,
    *,
    service: str | None = None,
    group: str | None = None,
    filter: str | None = None,  # noqa: A002 - the word that a user would look for
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

    A pull that was stopped goes on where it was when it is called again with the same folder; nothing that was answered
    is asked again.

    Parameters
    ----------
    folder
        Takes the answers as they come.
    trace_ids
        X-Ray's ids or 32 hex digits: a list, a text with blanks or commas, or a ``Path`` of a file with one a line.
    service, group, filter
        Otherwise: every trace of a service, of a group, that a filter expression finds; or, with none of these,
        every trace of the time.  Several are joined by AND.
    start, end
        The time: anything ``pandas.Timestamp`` takes, without a zone UTC, or how long ago (``"6h"``); ``end`` is now by
        default.  Asked for in windows of at most six hours.
    time_range
        ``Event``: traces active in the time; ``Service``: by the ends of segments; ``TraceId``: by the time in the id,
        which ids that OpenTelemetry makes do not have.
    sampling
        A share in (0, 1]: X-Ray picks that share of the traces, and they get a weight; True: as many as X-Ray likes,
        weight unknown.
    source
        ``logs``: the log group ``aws/spans`` of Transaction Search through Logs Insights, by ``trace_ids`` or
        ``service``.
    trace_format
        In which traces come that Transaction Search keeps but does not index: ``XRAY`` or ``OTEL``.
    session, region, profile
        A ``boto3.Session``, or what to make one of; credentials are boto3's business.
    concurrency
        Calls at the same time.
    attempts, backoff_s
        How often one call is tried, and the first pause; pauses double, up to 20 s.
    rounds
        How often an id is asked for that X-Ray leaves unprocessed.
    yes
        Needed for more than 1,000 traces, or more than a dollar; without it the estimate comes as a ``PullError``.
    on_progress
        Hears how far the pull is; by default a line is shown in a terminal.

    Returns
    -------
    Pull
        What became of every id, and the folder.

    Raises
    ------
    PullError
        AWS did not give what was asked; what came is in the folder, and the same call goes on from there.
    ValueError
        Nothing to ask for, or arguments that contradict each other.

    Notes
    -----
    Source: AWS X-Ray API reference (five ids a call, six hours a window), measured behaviour of boto3
    (``spec/formats.md`` section 6.3).

    Examples
    --------
    >>> pull_xray("pulled", service="payments")
    Traceback (most recent call last):
    ...
    ValueError: expected trace_ids, or a time to look in (start='6h', --start 6h), found neither
    """
    place = Path(folder)
    is_begun = (place / ".pull" / "plan.json").exists()
    account = None if trace_ids is None else Account(read_trace_ids(trace_ids))
    asked = {
        "service": service,
        "group": group,
        "filter": filter,
        "start": None if start is None else str(start),
        "end": None if end is None else str(end),
    }
    window = None if start is None else Window(instant(start), instant("0s" if end is None else end))
    _check(account, asked, window, sampling, source, time_range, trace_format, is_begun=is_begun)
    caller = Caller(
        session, region=region, profile=profile, attempts=attempts, backoff_s=backoff_s, connections=concurrency
    )
    how: dict[str, Any] = {"region": caller.region}
    if not (is_begun and account is None and window is None):  # else the options of the plan hold
        how |= {"time_range": time_range, "sampling": sampling, "source": source}
    with closing(caller), PullFolder(place) as opened, Meter(on_progress) as meter:
        plan = opened.plan({**asked, **how}, {"window": window})
        pulling = _Pulling(caller, opened, meter, plan, concurrency, rounds, backoff_s)
        return pulling.run(account, trace_format, is_agreed=yes)


def _check(
    account: Account | None,
    asked: dict[str, Any],
    window: Window | None,
    sampling: float | bool,
    source: str,
    time_range: str,
    trace_format: str,
    *,
    is_begun: bool,
) -> None:
    """Refuse arguments that ask for nothing, or contradict each other."""
    searched = asked["service"] or asked["group"] or asked["filter"]
    if account is None and window is None and not is_begun:
        raise ValueError("expected trace_ids, or a time to look in (start='6h', --start 6h), found neither")
    if account is not None and searched:
        raise ValueError("expected trace_ids or something to look for, found both; leave one out")
    if window is not None and window.end <= window.start:
        raise ValueError(f"expected an end after the start, found {window.end_time} and {window.start_time}")
    if not isinstance(sampling, bool) and not 0 < sampling <= 1:
        raise ValueError(f"expected sampling as a share above 0 and at most 1, or True, found {sampling!r}")
    for name, value, known in (
        ("source", source, ("xray", "logs")),
        ("time_range", time_range, ("Event", "Service", "TraceId")),
        ("trace_format", trace_format, ("XRAY", "OTEL")),
    ):
        if value not in known:
            raise ValueError(f"expected {name} {' or '.join(map(repr, known))}, found {value!r}")
    is_vague = window is None or (account is None and not asked["service"]) or asked["group"] or asked["filter"]
    if source == "logs" and not is_begun and is_vague:
        raise ValueError("expected start, and trace_ids or service, for source='logs': it knows no groups and filters")


class _Pulling:
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
        self._account = Account(())

    @property
    def _window(self) -> Window | None:
        """The time of the plan."""
        edges = self._plan["window"]
        return None if edges is None else Window(*edges)

    def run(self, account: Account | None, trace_format: str, *, is_agreed: bool) -> Pull:
        """Find the ids, fetch what is not there yet, and account for all."""
        scanned = 0
        is_found = account is None and self._plan["source"] == "xray"
        if self._plan["source"] == "xray":
            self._is_searched, self._unchecked = retrieval.is_on(self._caller)
        if account is None:
            if self._plan["source"] == "logs":
                self._agree(self._estimated_logs(0), is_agreed=is_agreed)
            account, scanned = self._ids()
        self._account = account
        for entry in self._folder.entries():
            account.record_outcomes(entry.get("ids", {}))
        left = account.waiting_count + account.counts.get(_NOT_INDEXED, 0)
        estimate = estimated(left, scanned=scanned, at_once=self._at_once)
        if self._plan["source"] == "logs" and left:
            estimate = self._estimated_logs(left)
        self._agree(estimate, is_agreed=is_agreed)
        self._meter.begin(len(account), len(account) - left)
        if self._plan["source"] == "logs":
            self._logs()
        else:
            self._xray(trace_format)
        self._write_unprocessed()
        notes = self._notes(by_time=is_found)
        return Pull(self._folder.path, account, dict(self._caller.counts), estimate, notes)

    def _estimated_logs(self, trace_count: int) -> PullEstimate:
        """Return what it takes to fetch traces from the log group; to look for their ids where there is none yet."""
        window = self._window
        assert window is not None, "checked with the arguments"
        if self._scan is None:
            self._scan = insights.scanned_bytes(self._caller, window, poll_s=self._poll_s)
        passes = insights.pass_count(trace_count)
        queries = passes * insights.window_count(window)
        return estimated_logs(trace_count, queries=queries, scanned_bytes=passes * self._scan, at_once=self._at_once)

    def _agree(self, estimate: PullEstimate, *, is_agreed: bool) -> None:
        """Refuse a large pull without a yes."""
        if estimate.is_large and not is_agreed:
            kept = "; the ids are kept in the folder" if self._plan["source"] == "xray" else ""
            raise PullError(f"expected a yes to {estimate}, found none: yes=True (--yes) goes on{kept}")

    def _notes(self, *, by_time: bool) -> tuple[str, ...]:
        """Return what the account does not say: why it is empty, what logs cost, whether there are more traces."""
        return (*self._emptiness(), *self._costs_and_limits(by_time=by_time))

    def _emptiness(self) -> tuple[str, ...]:
        """Return what may be the matter where nothing was found."""
        window = self._window
        if len(self._account) or window is None:
            return ()
        what = f" that match {text}" if (text := self._expression()) else ""
        period = f"from {window.start_time:%Y-%m-%d %H:%M} to {window.end_time:%Y-%m-%d %H:%M} UTC"
        asked = "the log group aws/spans" if self._plan["source"] == "logs" else "X-Ray"
        found = f"{asked} holds no traces{what} in {self._caller.region} {period}"
        look = "look at the account, the region, the time and the name as the service map spells it"
        return (f"{found}: {look}; X-Ray keeps traces for 30 days",)

    def _costs_and_limits(self, *, by_time: bool) -> tuple[str, ...]:
        """Return what logs cost, and that summaries may tell of few traces."""
        if scanned := self._caller.counts[insights.SCANNED]:
            cost = f"about ${scanned * USD_PER_SCANNED_BYTE:,.2f}"
            return (f"Logs Insights scanned {scanned / 1e9:,.3f} GB of {insights.LOG_GROUP}, {cost}",)
        if self._unchecked:
            return (f"whether Transaction Search keeps more traces was not checked: {self._unchecked}",)
        if not (by_time and self._is_searched):
            return ()
        share = retrieval.indexed_share(self._caller)
        known = "only those" if share is None else f"about {share:.3g} of all traces, those"
        rest = "service=... with source='logs' finds every trace of a service"
        return (f"Transaction Search is on: X-Ray lists {known} that it indexes; {rest}",)

    def _record_outcomes(self, outcomes: dict[str, str]) -> None:
        """Take the outcomes of a call."""
        self._account.record_outcomes(outcomes)
        self._meter.add(sum(outcome != _NOT_INDEXED for outcome in outcomes.values()))

    # ---------------------------------------------------------------- which

    def _ids(self) -> tuple[Account, int]:
        """Return an account of the ids that the plan is about, and how many traces were scanned for them."""
        window = self._window
        if window is None:
            message = f"expected trace_ids for {self._folder.path}, which was begun with a list of ids; give it again"
            raise PullError(message)
        if self._plan["source"] == "logs":
            service = self._plan["service"]
            ids = insights.ids_of_service(self._caller, service, window, poll_s=self._poll_s, at_once=self._at_once)
            return Account(ids), 0
        try:
            found = enumerate_ids(self._caller, self._folder, window, self._request(), at_once=self._at_once)
        except RefusedError as error:
            raise self._explained(error) from None
        return Account(map(to_xray_id, found.ids)), found.scanned

    def _expression(self) -> str:
        """Return the filter expression of the plan."""
        service, group, own = (self._plan[name] for name in ("service", "group", "filter"))
        parts = [f"service({_quoted(service)})"] if service else []
        parts += [f"group.name = {_quoted(group)}"] if group else []
        parts += [f"({own})" if parts else own] if own else []
        return " AND ".join(parts)

    def _request(self) -> dict[str, Any]:
        """Return what every call for summaries has."""
        request: dict[str, Any] = {"TimeRangeType": self._plan["time_range"]}
        if expression := self._expression():
            request["FilterExpression"] = expression
        share = self._plan["sampling"]
        if share is not False:
            request["Sampling"] = True
        if not isinstance(share, bool):
            request["SamplingStrategy"] = {"Name": "FixedRate", "Value": share}
        return request

    def _explained(self, error: RefusedError) -> PullError:
        """Return the error of a refused call, with what is wrong with its filter expression if that can be told."""
        try:
            parse(self._expression() or "ok")
        except FilterError as wrong:
            message = f"{error}; {wrong}"
            return PullError(message, operation=error.operation, request_id=error.request_id)
        return error

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
            account.put(dict.fromkeys(hidden, ("not_found", "Transaction Search is no longer switched on")))

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
        """Leave a word in the folder about what X-Ray never processed, for whoever reads it."""
        quoted = ",".join(f'"{trace_id}"' for trace_id in self._account.having("unprocessed"))
        if quoted:
            self._folder.append("traces", [f'{{"Traces":[],"UnprocessedTraceIds":[{quoted}]}}'.encode()])


def _quoted(text: str) -> str:
    """Return a text as a filter expression has it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
