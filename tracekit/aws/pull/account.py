"""What became of every id of a pull: two columns of numbers, however many ids there are."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.aws.pull.trace_ids import is_xray_id, pack_ids, to_w3c_id, unpack_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_UNASKED = ("unprocessed", "")
_AGAIN = ("unprocessed", "failed")
_AT_ONCE = 512  # ids that are looked up, or spelled, together: one by one they cost as much as asking for them


class Account:
    """The outcome of every asked id, and the reason for it.

    Parameters
    ----------
    trace_ids
        As X-Ray spells them; an id that comes again is one.

    Notes
    -----
    Sixteen bytes an id, sorted, four for the order in which they were asked for, and the number of an outcome with its
    reason: nothing here grows while a pull runs but the list of different reasons.

    Examples
    --------
    >>> account = Account(["1-58406520-a006649127e371903a2de979", "1-00000001-a006649127e371903a2de900"])
    >>> account.record_outcomes({"1-00000001-a006649127e371903a2de900": "returned"})
    >>> account.counts, list(account.waiting())
    ({'unprocessed': 1, 'returned': 1}, ['1-58406520-a006649127e371903a2de979'])
    """

    def __init__(self, trace_ids: Iterable[str]) -> None:
        ids = iter(trace_ids)
        asked = b"".join(iter(lambda: pack_ids(islice(ids, _AT_ONCE)), b""))
        self._ids, first = np.unique(np.frombuffer(asked, "S16"), return_index=True)
        self._asked = np.argsort(first).astype(np.int32)
        self._states = np.zeros(len(self._ids), np.int32)
        self._meaning = {_UNASKED: 0}
        self._late: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def put(self, found: Mapping[str, tuple[str, str]]) -> None:
        """Take (outcome, reason) by id; ids that nobody asked for are passed by."""
        for one, pair in found.items():
            self._late[one] = self._meaning.setdefault(pair, len(self._meaning))
        if len(self._late) >= _AT_ONCE:
            self._enter()

    def record_outcomes(self, outcomes: Mapping[str, str]) -> None:
        """Take outcomes by id that need no reason."""
        self.put({one: (outcome, "") for one, outcome in outcomes.items()})

    def _enter(self) -> None:
        """Enter what was put since the last time."""
        known = {one: state for one, state in self._late.items() if is_xray_id(one)}
        self._late = {}
        if not known or not len(self):
            return
        ids = np.frombuffer(pack_ids(known), "S16")
        rows = np.minimum(np.searchsorted(self._ids, ids), len(self) - 1)
        is_asked = self._ids[rows] == ids
        self._states[rows[is_asked]] = np.fromiter(known.values(), np.int32)[is_asked]

    def waiting(self) -> Iterator[str]:
        """Return the ids that may be asked for again, in the order of asking: not settled, and not refused."""
        return self._where(_is_waiting(*pair) for pair in self._meaning)

    @property
    def waiting_count(self) -> int:
        """How many ids may be asked for again."""
        tally = zip(self._meaning, self._tally(), strict=True)
        return sum(int(count) for pair, count in tally if _is_waiting(*pair))

    def having(self, *outcomes: str) -> Iterator[str]:
        """Return the ids with one of some outcomes, in the order of asking."""
        return self._where(outcome in outcomes for outcome, _ in self._meaning)

    def _where(self, is_meant: Iterable[bool]) -> Iterator[str]:
        """Yield the ids whose state is meant, as things stand now."""
        self._enter()
        rows = self._asked[np.fromiter(is_meant, bool)[self._states[self._asked]]]
        parts = (rows[low : low + _AT_ONCE] for low in range(0, len(rows), _AT_ONCE))
        return chain.from_iterable(unpack_ids(self._ids[part].tobytes()) for part in parts)

    @property
    def counts(self) -> dict[str, int]:
        """Ids by outcome."""
        counts: dict[str, int] = {}
        for (outcome, _), count in zip(self._meaning, self._tally(), strict=True):
            if count:
                counts[outcome] = counts.get(outcome, 0) + int(count)
        return counts

    def _tally(self) -> np.ndarray:
        """Return the number of ids in each state."""
        self._enter()
        return np.bincount(self._states, minlength=len(self._meaning))

    def frame(self) -> pd.DataFrame:
        """Return one row an id, in the order of asking: ``trace_id`` (index), ``xray_id``, ``outcome``, ``reason``."""
        self._enter()
        ids = unpack_ids(self._ids[self._asked].tobytes())
        states = self._states[self._asked]
        outcomes, reasons = (np.array(texts, object)[states] for texts in zip(*self._meaning, strict=True))
        columns = {"xray_id": ids, "outcome": outcomes, "reason": reasons}
        index = pd.Index(list(map(to_w3c_id, ids)), name="trace_id", dtype="str")
        return pd.DataFrame(columns, index=index, dtype="str")


def _is_waiting(outcome: str, reason: str) -> bool:
    """Return whether an id may be asked for again."""
    return outcome in _AGAIN and not reason.startswith("refused")
