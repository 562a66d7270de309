"""What became of every id of a pull: two columns of numbers, however many ids there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.aws.pull.trace_ids import is_spelled, packed, spelled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_UNASKED = ("unprocessed", "")
_AGAIN = ("unprocessed", "failed")


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
    >>> account.settle({"1-00000001-a006649127e371903a2de900": "returned"})
    >>> account.counts, list(account.waiting())
    ({'unprocessed': 1, 'returned': 1}, ['1-58406520-a006649127e371903a2de979'])
    """

    def __init__(self, trace_ids: Iterable[str]) -> None:
        asked = np.fromiter(map(packed, trace_ids), "S16")
        self._ids, first = np.unique(asked, return_index=True)
        self._asked = np.argsort(first).astype(np.int32)
        self._states = np.zeros(len(self._ids), np.int32)
        self._meaning = {_UNASKED: 0}

    def __len__(self) -> int:
        return len(self._ids)

    def put(self, found: Mapping[str, tuple[str, str]]) -> None:
        """Take (outcome, reason) by id; ids that nobody asked for are passed by."""
        known = {one: pair for one, pair in found.items() if is_spelled(one)}
        if not known or not len(self):
            return
        ids = np.array([packed(one) for one in known], "S16")
        rows = np.minimum(np.searchsorted(self._ids, ids), len(self) - 1)
        is_asked = self._ids[rows] == ids
        states = np.array([self._meaning.setdefault(pair, len(self._meaning)) for pair in known.values()])
        self._states[rows[is_asked]] = states[is_asked]

    def settle(self, outcomes: Mapping[str, str]) -> None:
        """Take outcomes by id that need no reason."""
        self.put({one: (outcome, "") for one, outcome in outcomes.items()})

    def waiting(self) -> Iterator[str]:
        """Return the ids that may be asked for again, in the order of asking: not settled, and not refused."""
        return self._where(_is_waiting(*pair) for pair in self._meaning)

    @property
    def waiting_count(self) -> int:
        """How many ids may be asked for again."""
        return sum(int(count) for pair, count in zip(self._meaning, self._tally(), strict=True) if _is_waiting(*pair))

    def having(self, *outcomes: str) -> Iterator[str]:
        """Return the ids with one of some outcomes, in the order of asking."""
        return self._where(outcome in outcomes for outcome, _ in self._meaning)

    def _where(self, is_meant: Iterable[bool]) -> Iterator[str]:
        """Yield the ids whose state is meant, as things stand now."""
        rows = self._asked[np.fromiter(is_meant, bool)[self._states[self._asked]]]
        return (spelled(self._ids[row : row + 1].tobytes().hex()) for row in rows)

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
        return np.bincount(self._states, minlength=len(self._meaning))

    def frame(self) -> pd.DataFrame:
        """Return one row an id, in the order of asking: ``trace_id`` (index), ``xray_id``, ``outcome``, ``reason``."""
        digits = self._ids[self._asked].tobytes().hex()
        ids = [digits[low : low + 32] for low in range(0, len(digits), 32)]
        states = self._states[self._asked]
        outcomes, reasons = (np.array(texts, object)[states] for texts in zip(*self._meaning, strict=True))
        columns = {"xray_id": list(map(spelled, ids)), "outcome": outcomes, "reason": reasons}
        return pd.DataFrame(columns, index=pd.Index(ids, name="trace_id", dtype="str"), dtype="str")


def _is_waiting(outcome: str, reason: str) -> bool:
    """Return whether an id may be asked for again."""
    return outcome in _AGAIN and not reason.startswith("refused")
