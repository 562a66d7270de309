"""The outcome of every trace of a pull, and its ledger."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd
from msgspec.structs import asdict

from tracekit.pull.ledger import Entry
from tracekit.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from tracekit.traces import TraceSet

OUTCOMES = ("returned", "partial", "not_found", "unprocessed", "failed")
_UNPROCESSED = ("unprocessed", "")
_CALL_S = 0.1  # typical duration of a call
LARGE = 1_000  # traces that need a confirmation


class Outcomes:
    """The outcome of every id, with its reason.

    Parameters
    ----------
    trace_ids
        Ids; duplicates count once.

    Examples
    --------
    >>> outcomes = Outcomes(["a", "b"])
    >>> outcomes.record({"b": "returned"})
    >>> outcomes.counts, list(outcomes.waiting())
    ({'unprocessed': 1, 'returned': 1}, ['a'])
    """

    def __init__(self, trace_ids: Iterable[str] = ()) -> None:
        self._states: dict[str, tuple[str, str]] = dict.fromkeys(trace_ids, _UNPROCESSED)
        self._shared = {_UNPROCESSED: _UNPROCESSED}

    def __len__(self) -> int:
        return len(self._states)

    def __contains__(self, trace_id: object) -> bool:
        return trace_id in self._states

    def add(self, trace_ids: Iterable[str]) -> None:
        """Add ids without an outcome."""
        for one in trace_ids:
            self._states.setdefault(one, _UNPROCESSED)

    def record(self, outcomes: Mapping[str, str], reason: str = "") -> None:
        """Record outcomes by id; ids that were not requested are ignored, and ``partial`` stays."""
        for one, outcome in outcomes.items():
            if one in self._states:
                state = (outcome, reason)
                self._states[one] = self._shared.setdefault(state, state)

    def waiting(self) -> Iterator[str]:
        """Yield the ids to request again: unfinished and not rejected."""
        return (one for one in list(self._states) if _is_waiting(*self._states[one]))

    @property
    def waiting_count(self) -> int:
        """Number of ids to request again."""
        return sum(_is_waiting(*state) for state in self._states.values())

    @property
    def counts(self) -> dict[str, int]:
        """Ids by outcome."""
        counts: dict[str, int] = {}
        for outcome, _ in self._states.values():
            counts[outcome] = counts.get(outcome, 0) + 1
        return counts

    def having(self, *outcomes: str) -> list[str]:
        """Return the ids with one of the outcomes."""
        return [one for one, (outcome, _) in self._states.items() if outcome in outcomes]

    def frame(self) -> pd.DataFrame:
        """Return one row per id: ``trace_id`` (index), ``outcome``, ``reason``."""
        index = pd.Index(list(self._states), name="trace_id", dtype="str")
        return pd.DataFrame(list(self._states.values()), columns=["outcome", "reason"], index=index, dtype="str")


def _is_waiting(outcome: str, reason: str) -> bool:
    """Return whether to request an id again."""
    return outcome in {"unprocessed", "failed"} and not reason.startswith("refused")


@dataclass(frozen=True)
class PullEstimate:
    """The expected calls and duration of a pull.

    Parameters
    ----------
    trace_count
        Traces to fetch.
    call_count
        Requests.
    time_s
        Seconds, at 0.1 s per request.

    Examples
    --------
    >>> print(estimated(50_000, batch_size=1, at_once=4))
    50,000 traces in 50,000 requests, about 20.8 minutes
    """

    trace_count: int
    call_count: int
    time_s: float

    @property
    def is_large(self) -> bool:
        """Whether it needs confirmation: more than 1,000 traces."""
        return self.trace_count > LARGE

    def __str__(self) -> str:
        return f"{self.trace_count:,} traces in {self.call_count:,} requests, about {self.time_s / 60:,.1f} minutes"


def estimated(trace_count: int, *, batch_size: int, at_once: int) -> PullEstimate:
    """Return the estimate for fetching traces by id."""
    calls = math.ceil(trace_count / batch_size)
    return PullEstimate(trace_count, calls, calls * _CALL_S / at_once)


@dataclass(frozen=True)
class Pull:
    """The outcome of every trace (of every object, for S3) of a pull.

    Parameters
    ----------
    folder
        The folder with the answers.
    outcomes
        The outcome of every id.
    entries
        The ledger.
    calls
        Requests, retries and throttled requests of this run.
    notes
        Remarks on the pull.
    noun
        What an id names: a trace, or an object.
    """

    folder: Path
    outcomes: Outcomes = field(repr=False)
    entries: tuple[Entry, ...] = field(repr=False)
    calls: dict[str, int] = field(repr=False)
    notes: tuple[str, ...] = ()
    noun: str = field(default="trace", repr=False)

    @cached_property
    def accounts(self) -> pd.DataFrame:
        """One row per id, indexed by ``trace_id``, in the order found: ``outcome`` and ``reason``.

        ``outcome``: ``returned``; ``partial``: the backend returned a part of the trace; ``not_found``;
        ``unprocessed``: not asked for; ``failed``.
        """
        return self.outcomes.frame()

    @cached_property
    def ledger(self) -> pd.DataFrame:
        """One row per window: the request as sent, server, cap, selection, truncation and counts of traces."""
        return pd.DataFrame([asdict(one) for one in self.entries], columns=list(Entry.__struct_fields__))

    @cached_property
    def traces(self) -> TraceSet:
        """The traces, read from the folder."""
        from tracekit.loading import read  # noqa: PLC0415 - who only pulls does not wait for the readers

        return read(self.folder)

    @property
    def counts(self) -> dict[str, int]:
        """Ids by outcome."""
        found = self.outcomes.counts
        return {outcome: found[outcome] for outcome in OUTCOMES if outcome in found}

    def __repr__(self) -> str:
        parts = ", ".join(f"{count:,} {outcome}" for outcome, count in self.counts.items()) or "none found"
        return f"Pull({self.folder}: {plural(len(self.outcomes), self.noun)}: {parts})"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th>{outcome}</th><td>{count:,}</td></tr>" for outcome, count in self.counts.items())
        return f"<table><tr><th>{html.escape(str(self.folder))}</th><th>{self.noun}s</th></tr>{rows}</table>"
