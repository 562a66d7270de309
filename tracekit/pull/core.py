"""One run of a pull: search the windows, halve those that are full, fetch the traces, account for every id."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from tracekit.errors import PullError
from tracekit.pull.calls import NoAnswerError, RejectedError
from tracekit.pull.ledger import Entry, Status, entry_of, line
from tracekit.pull.result import LARGE, Outcomes, Pull, PullEstimate, estimated
from tracekit.pull.windows import Period, rfc3339
from tracekit.pull.workers import run
from tracekit.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tracekit.pull.backend import Backend, Fetched, Found, Hit
    from tracekit.pull.folder import PullFolder
    from tracekit.pull.ledger import Truncation
    from tracekit.pull.progress import Meter

_FAILURES_IN_A_ROW = 5
_SPLIT_OF_PERIOD, _SHORTEST_NS = 16, 60 * 10**9
_FAR_CLOCK_S = 60.0
_STOPS = frozenset({"401", "403", "tls", "html", "redirect"})  # no other request would avoid them
_LONG = ("duration", "range", "window", "too long", "too large", "max", "limit")
_RESUME = "rerun with the same folder to resume"


class Run:
    """One run of a pull.

    Parameters
    ----------
    backend, folder, meter
        Opened for this run.
    plan
        The options of the first run.
    concurrency, rounds
        Parallel requests, and attempts per id.
    is_confirmed
        Whether more than 1,000 traces may be pulled.
    """

    def __init__(
        self,
        backend: Backend,
        folder: PullFolder,
        meter: Meter,
        plan: dict[str, Any],
        *,
        concurrency: int,
        rounds: int,
        is_confirmed: bool,
    ) -> None:
        self._backend = backend
        self._folder = folder
        self._meter = meter
        self._plan = plan
        self._at_once = concurrency
        self._rounds = rounds
        self._is_confirmed = is_confirmed
        self._outcomes = Outcomes()
        self._entries: list[Entry] = []
        self._bodies: set[int] = set()  # hashes of traces that are stored: windows overlap
        self._done: set[Period] = set()
        self._split: set[Period] = set()
        self._open_count = 0
        self._is_changed = False

    def run(self, trace_ids: Iterable[str] | None) -> Pull:
        """Find the ids, fetch the missing traces, and return the outcomes."""
        self._resume()
        try:
            if trace_ids is None:
                self._search()
            else:
                self._outcomes.add(trace_ids)
                self._resume_outcomes()
            self._fetch()
        finally:
            self._write_status()
        notes = tuple(self._notes(by_id=trace_ids is not None))
        counts = dict(self._backend.caller.counts)
        return Pull(self._folder.path, self._outcomes, tuple(self._entries), counts, notes, self._backend.noun)

    # ---------------------------------------------------------------- earlier runs

    def _resume(self) -> None:
        """Take over the windows and ids of earlier runs."""
        for entry in self._folder.entries():
            if split := entry.get("split"):
                self._split.add(Period(*split))
            if searched := entry.get("searched"):
                self._done.add(Period(*searched))
                self._entries.append(Entry(**entry["ledger"]))
                self._add(entry["traces"])
        self._resume_outcomes()

    def _resume_outcomes(self) -> None:
        """Take over the outcomes of earlier runs."""
        for entry in self._folder.entries():
            self._outcomes.record(entry.get("ids", {}))

    def _add(self, trace_ids: list[str]) -> None:
        """Add the ids that a search found."""
        new = sum(one not in self._outcomes for one in trace_ids)
        self._outcomes.add(trace_ids)
        if self._backend.is_whole:
            self._outcomes.record(dict.fromkeys(trace_ids, "returned"))
            self._meter.add(new)

    # ---------------------------------------------------------------- searching

    def _search(self) -> None:
        """Search all windows of the plan."""
        edges = self._plan["window"]
        if edges is None:
            message = (
                f"expected trace_ids for {self._folder.path}, which was started with a list of ids; pass them again"
            )
            raise PullError(message)
        pad = self._backend.pad_ns
        whole = Period(edges[0] - pad, edges[1] + pad)
        longest = min(self._backend.longest_ns, max(_SHORTEST_NS, (whole.end_ns - whole.start_ns) // _SPLIT_OF_PERIOD))
        unit = self._backend.unit_ns
        todo = self._unfinished(whole.widened(unit).parts(max(unit, longest // unit * unit)))
        self._open_count = len(todo)
        self._searched_ns = sum(one.end_ns - one.start_ns for one in self._done)
        self._whole_ns = whole.end_ns - whole.start_ns
        run(todo, self._read, self._on_window, at_once=self._at_once, stopped=self._backend.caller.stopped)

    def _unfinished(self, periods: Iterable[Period]) -> list[Period]:
        """Return the windows that are not complete."""
        todo, found = list(periods)[::-1], []
        while todo:
            period = todo.pop()
            if period in self._split:
                todo += period.halves(self._backend.unit_ns)[::-1]
            elif period not in self._done:
                found.append(period)
        return found

    def _read(self, period: Period) -> tuple[Found, int | None, Truncation] | None:
        """Return the answer to a window, its limit and whether it is truncated; None if it has to be halved."""
        backend = self._backend
        can_halve = bool(period.halves(backend.unit_ns))
        try:
            found = backend.search(period, backend.cap)
        except RejectedError as error:
            if can_halve and _is_too_long(error):
                return None
            raise
        if not found.is_full:
            return found, backend.cap, "excluded"
        _check_window(found, period, backend.server)
        return None if can_halve else self._with_larger_limit(period, found)

    def _with_larger_limit(self, period: Period, found: Found) -> tuple[Found, int | None, Truncation]:
        """Return the answer to a full window that cannot be halved, asked with the largest limit."""
        backend = self._backend
        if backend.largest_cap is None:
            return found, backend.cap, "unknown"
        try:
            more = backend.search(period, backend.largest_cap)
        except (RejectedError, NoAnswerError) as error:
            if isinstance(error, RejectedError) and error.code in _STOPS:
                raise
            return found, backend.cap, "unknown"
        if more.is_full:
            return more, backend.largest_cap, "proven" if len(more.hits) > len(found.hits) else "unknown"
        # a server that lowers limits without a word answers as it did
        return more, backend.largest_cap, "excluded" if len(more.hits) != len(found.hits) else "unknown"

    def _on_window(self, period: Period, answer: tuple[Found, int | None, Truncation] | None) -> Iterable[Period]:
        """Store the answer to a window, or return its halves."""
        if answer is None:
            self._split.add(period)
            self._folder.append("traces", [], {"split": period})
            self._open_count += 1
            return period.halves(self._backend.unit_ns)
        found, cap, truncation = answer
        entry = entry_of(
            period,
            **self._of_pull(),
            query=found.query,
            cap=cap,
            selection=self._backend.selection,
            truncation=truncation,
            trace_count=len({hit.trace_id for hit in found.hits}),
            outside_count=_outside_count(found.hits, period),
            clock_offset_s=self._backend.clock_offset_s,
        )
        ids = list(dict.fromkeys(hit.trace_id for hit in found.hits))
        new = [hit.body for hit in found.hits if hit.body and hash(hit.body) not in self._bodies]
        self._folder.append(
            "traces", [*new, line(entry)], {"searched": period, "traces": ids, "ledger": entry_fields(entry)}
        )
        self._is_changed = True
        self._bodies.update(map(hash, new))
        self._done.add(period)
        self._entries.append(entry)
        self._open_count -= 1
        self._searched_ns += period.end_ns - period.start_ns
        self._add(ids)
        if self._backend.is_whole:
            self._confirm_search()
        return ()

    def _of_pull(self) -> dict[str, Any]:
        """Return the fields that all entries of a pull share."""
        backend = self._backend
        return {
            "pull": self._plan["id"],
            "backend": self._plan["backend"],
            "server": backend.server,
            "version": backend.version,
        }

    def _confirm_search(self) -> None:
        """Raise PullError if a search returns many traces without confirmation."""
        count = len(self._outcomes)
        if count > LARGE and self._open_count and not self._is_confirmed:
            total = int(count * max(1.0, self._whole_ns / max(self._searched_ns, 1)))
            message = f"expected confirmation of about {total:,} traces ({count:,} so far), found none"
            raise PullError(f"{message}; continue with yes=True (--yes); what came is kept in the folder")

    # ---------------------------------------------------------------- fetching

    def _fetch(self) -> None:
        """Fetch the traces that are missing."""
        outcomes, backend = self._outcomes, self._backend
        left = outcomes.waiting_count
        if not left:
            return
        self._confirm(estimated(left, batch_size=backend.batch_size, at_once=self._at_once))
        self._meter.begin(len(outcomes), len(outcomes) - left)
        failures = 0

        def on_answer(batch: tuple[str, ...], answer: Fetched | str) -> Iterator[tuple[str, ...]]:
            nonlocal failures
            if not isinstance(answer, str):
                failures, self._is_changed = 0, True
                outcomes.record(answer.outcomes)
                self._meter.add(len(answer.outcomes))
                return
            is_refused = answer.startswith("refused")
            failures += not is_refused
            if failures >= _FAILURES_IN_A_ROW:
                outcomes.record(dict.fromkeys(batch, "failed"), answer)
                raise PullError(f"{answer}; {failures} consecutive requests failed: {_RESUME}")
            if len(batch) > 1:  # one id may be the reason
                yield from ((one,) for one in batch)
                return
            outcomes.record(dict.fromkeys(batch, "failed"), answer)

        for attempt in range(self._rounds):
            if not outcomes.waiting_count:
                break
            if attempt:
                backend.caller.pause(attempt - 1)
            run(self._batches(), self._fetch_one, on_answer, at_once=self._at_once, stopped=backend.caller.stopped)

    def _confirm(self, estimate: PullEstimate) -> None:
        """Raise PullError for a large pull without confirmation."""
        if estimate.is_large and not self._is_confirmed:
            message = f"expected confirmation of {estimate}, found none; continue with yes=True (--yes)"
            raise PullError(f"{message}; the ids are kept in the folder")

    def _batches(self) -> Iterator[tuple[str, ...]]:
        """Yield the ids to fetch, in batches."""
        ids = self._outcomes.waiting()
        return iter(lambda: tuple(islice(ids, self._backend.batch_size)), ())

    def _fetch_one(self, batch: tuple[str, ...]) -> Fetched | str:
        """Return the traces of a batch, which are stored, or the reason for having none."""
        try:
            fetched = self._backend.fetch(batch)
        except RejectedError as error:
            if error.code in _STOPS:
                raise
            return f"refused: {error}"
        except NoAnswerError as error:
            return str(error)
        for name, content in fetched.files.items():
            self._folder.write_object(name, content)
        self._folder.append("traces", fetched.lines, {"ids": fetched.outcomes})
        return fetched

    # ---------------------------------------------------------------- the end

    def _write_status(self) -> None:
        """Write the state of the pull between the traces, if this run has changed it."""
        if not self._is_changed:
            return
        missing = self._outcomes.having("unprocessed", "failed", "not_found")
        partial = self._outcomes.having("partial")
        status = Status(self._plan["id"], len(self._outcomes), len(missing), self._open_count, partial)
        self._folder.append("traces", [line(status)], {})

    def _notes(self, *, by_id: bool) -> Iterator[str]:
        """Yield remarks on truncation, windows, clocks and an empty result."""
        cut = [one for one in self._entries if one.truncation != "excluded"]
        if cut:
            which = f"{plural(len(cut), 'window')} of {len(self._entries):,} at the limit of the backend"
            yield f"{which}: traces may be missing, and the others are a sample ({cut[0].selection.replace('_', ' ')})"
        outside = sum(one.outside_count for one in self._entries)
        if outside:
            yield f"{plural(outside, 'trace')} outside the window asked for: kept; check the clocks of the servers"
        offset = self._backend.clock_offset_s
        if offset is not None and abs(offset) > _FAR_CLOCK_S:
            yield f"the clock of {self._backend.server} differs by {offset:+,.0f} s from this one: check start and end"
        if not len(self._outcomes) and not by_id and self._plan["window"]:
            start, end = self._plan["window"]
            where = f"{self._backend.server} returned no {self._backend.noun}s from {rfc3339(start)} to {rfc3339(end)}"
            yield f"{where}: check period, query, and the service name"


def entry_fields(entry: Entry) -> dict[str, Any]:
    """Return the fields of an entry for the journal."""
    return {name: getattr(entry, name) for name in Entry.__struct_fields__}


def _is_too_long(error: RejectedError) -> bool:
    """Return whether a shorter window may be accepted, judged by status and message."""
    if error.code == "too_large":
        return True
    return error.code == "400" and any(word in error.reason.lower() for word in _LONG)


def _outside_count(hits: Iterable[Hit], period: Period) -> int:
    """Return how many traces have known times that do not touch a window."""
    return sum(
        hit.start_ns is not None
        and hit.end_ns is not None
        and (hit.end_ns < period.start_ns or hit.start_ns > period.end_ns)
        for hit in hits
    )


def _check_window(found: Found, period: Period, server: str) -> None:
    """Raise PullError if a full answer is about another window: halving would never end."""
    outside = _outside_count(found.hits, period)
    if 2 * outside > len(found.hits):
        message = f"expected traces from {period}, found {outside:,} of {len(found.hits):,} outside of it"
        raise PullError(f"{message}; {server} does not apply the window: check the query, and for a proxy that caches")
