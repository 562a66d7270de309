"""The outcome of every id of a pull, in two integer columns."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.aws.pull.trace_ids import is_xray_id, pack_ids, to_w3c_id, unpack_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_INITIAL = ("unprocessed", "")
_RETRIED = ("unprocessed", "failed")
_BATCH_SIZE = 512  # ids per lookup: one by one they take as long as the API calls


class Account:
    """The outcome of every requested id, with its reason.

    Parameters
    ----------
    trace_ids
        X-Ray ids; duplicates count once.

    Notes
    -----
    Memory per id: sixteen bytes for the id, four for its position in the request, four for its outcome and reason.

    Examples
    --------
    >>> account = Account(["1-58406520-a006649127e371903a2de979", "1-00000001-a006649127e371903a2de900"])
    >>> account.record_outcomes({"1-00000001-a006649127e371903a2de900": "returned"})
    >>> account.counts, list(account.waiting())
    ({'unprocessed': 1, 'returned': 1}, ['1-58406520-a006649127e371903a2de979'])
    """

    def __init__(self, trace_ids: Iterable[str]) -> None:
        ids = iter(trace_ids)
        packed = b"".join(iter(lambda: pack_ids(islice(ids, _BATCH_SIZE)), b""))
        self._ids, first = np.unique(np.frombuffer(packed, "S16"), return_index=True)
        self._order = np.argsort(first).astype(np.int32)
        self._states = np.zeros(len(self._ids), np.int32)
        self._states_by_pair = {_INITIAL: 0}
        self._pending: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def put(self, found: Mapping[str, tuple[str, str]]) -> None:
        """Record (outcome, reason) by id; ids that were not requested are ignored."""
        for one, pair in found.items():
            self._pending[one] = self._states_by_pair.setdefault(pair, len(self._states_by_pair))
        if len(self._pending) >= _BATCH_SIZE:
            self._flush()

    def record_outcomes(self, outcomes: Mapping[str, str]) -> None:
        """Record outcomes by id, without reasons."""
        self.put({one: (outcome, "") for one, outcome in outcomes.items()})

    def _flush(self) -> None:
        """Apply the recorded outcomes."""
        known = {one: state for one, state in self._pending.items() if is_xray_id(one)}
        self._pending = {}
        if not known or not len(self):
            return
        ids = np.frombuffer(pack_ids(known), "S16")
        rows = np.minimum(np.searchsorted(self._ids, ids), len(self) - 1)
        is_requested = self._ids[rows] == ids
        self._states[rows[is_requested]] = np.fromiter(known.values(), np.int32)[is_requested]

    def waiting(self) -> Iterator[str]:
        """Return the ids to request again, in the order requested: unfinished and not rejected."""
        return self._where(_is_waiting(*pair) for pair in self._states_by_pair)

    @property
    def waiting_count(self) -> int:
        """Number of ids to request again."""
        tally = zip(self._states_by_pair, self._tally(), strict=True)
        return sum(int(count) for pair, count in tally if _is_waiting(*pair))

    def having(self, *outcomes: str) -> Iterator[str]:
        """Return the ids with one of the outcomes, in the order requested."""
        return self._where(outcome in outcomes for outcome, _ in self._states_by_pair)

    def _where(self, is_selected: Iterable[bool]) -> Iterator[str]:
        """Return the ids whose current state is selected."""
        self._flush()
        rows = self._order[np.fromiter(is_selected, bool)[self._states[self._order]]]
        parts = (rows[low : low + _BATCH_SIZE] for low in range(0, len(rows), _BATCH_SIZE))
        return chain.from_iterable(unpack_ids(self._ids[part].tobytes()) for part in parts)

    @property
    def counts(self) -> dict[str, int]:
        """Ids by outcome."""
        counts: dict[str, int] = {}
        for (outcome, _), count in zip(self._states_by_pair, self._tally(), strict=True):
            if count:
                counts[outcome] = counts.get(outcome, 0) + int(count)
        return counts

    def _tally(self) -> np.ndarray:
        """Return the number of ids in each state."""
        self._flush()
        return np.bincount(self._states, minlength=len(self._states_by_pair))

    def frame(self) -> pd.DataFrame:
        """Return one row per id, in the order requested: ``trace_id`` (index), ``xray_id``, ``outcome``, ``reason``."""
        self._flush()
        ids = unpack_ids(self._ids[self._order].tobytes())
        states = self._states[self._order]
        outcomes, reasons = (np.array(texts, object)[states] for texts in zip(*self._states_by_pair, strict=True))
        columns = {"xray_id": ids, "outcome": outcomes, "reason": reasons}
        index = pd.Index(list(map(to_w3c_id, ids)), name="trace_id", dtype="str")
        return pd.DataFrame(columns, index=index, dtype="str")


def _is_waiting(outcome: str, reason: str) -> bool:
    """Return whether to request an id again."""
    return outcome in _RETRIED and not reason.startswith("refused")
