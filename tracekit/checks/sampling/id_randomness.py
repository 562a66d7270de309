"""S15: randomness of trace IDs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd
import scipy

from tracekit.checks.merged import Merged
from tracekit.findings import finding, not_assessable
from tracekit.stats.tests import false_discovery
from tracekit.text import count
from tracekit.weights.known import MARKS, TRACE_IDS

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding, Status
    from tracekit.schema import Array

CHECK = "id.random"
_ASSUMED = ("one generator, IDs in time order",)
_FEWEST, _MANY, _SURE = 200, 1280, 0.01
_LOW48, _LOW56 = np.uint64((1 << 48) - 1), np.uint64((1 << 56) - 1)
_BYTES = range(10, 16)


def id_randomness(case: Case) -> list[Finding]:
    """Return whether the bits that samplers use are random.

    Chi squared of bytes 10 to 15 (256 cells, 16 below 1,280 IDs), correlation of the low 48 bits with those of the
    previous trace, repeated low 56 bits against Poisson.  Byte 9 is excluded, because a threshold sampler truncates it.
    Of a store, the parts give the start and the low half of each ID, 16 bytes a trace, which are sorted together.
    Assumes IDs of one generator in time order.  Source: W3C Trace Context level 2 asks for seven random bytes; measured
    size 4 to 5%.
    """
    ids = case.result(_IDS)
    n = len(ids.low)
    if n < _FEWEST:
        return [not_assessable(CHECK, "Randomness of trace IDs", f"{_FEWEST} traces")]
    table = battery(ids.in_time_order)
    q = table["q_bh"].to_numpy()
    decides = case.rules is not None or ids.decide
    verdict: Status = "failed" if decides else "measured"
    table = table.assign(status=np.where(q < _SURE, verdict, "ok"), trace_count=n)
    short = " (64-bit IDs: the high 64 bits are all zero)" * ids.is_short
    bad = table.loc[table["status"] != "ok", "test"].tolist()
    if not bad:
        text = f"The low bits of trace IDs are random (n = {count(n)}){short}, so trace-ID samplers can rely on them."
        return [finding(CHECK, "ok", text, table, is_critical=False)]
    parts = [name.removeprefix("byte ") for name in bad if name.startswith("byte")]
    signs = [f"byte{'s' * (len(parts) > 1)} {', '.join(parts)}"] * bool(parts)
    signs += ["each ID resembles the previous one"] * ("serial" in bad) + ["repeated IDs"] * ("repeated" in bad)
    text = (
        f"The low bits of trace IDs are not random ({'; '.join(signs)}; n = {count(n)}){short}: trace-ID samplers"
        " keep or drop consecutive traces."
    )
    remedy = "Use an ID generator with 56 random low bits, or a sampler with its own randomness." if decides else ""
    return [finding(CHECK, verdict, text, table, remedy=remedy, assumptions=_ASSUMED, is_critical=False)]


class _Ids(NamedTuple):
    """Starts of traces (ns), low halves of their IDs, whether all high halves are zero, and whether IDs set weights."""

    start_ns: Array
    low: Array
    is_short: bool
    decide: bool

    def plus(self, other: _Ids) -> _Ids:
        """Return those of two parts."""
        return _Ids(
            np.concatenate([self.start_ns, other.start_ns]),
            np.concatenate([self.low, other.low]),
            self.is_short and other.is_short,
            self.decide or other.decide,
        )

    @property
    def in_time_order(self) -> Array:
        """Low halves by start; those of one instant by a hash, which depends on no part and makes no serial pattern."""
        return self.low[np.lexsort((pd.util.hash_array(self.low), self.start_ns))]


def _ids(case: Case) -> _Ids:
    """Return the IDs of a part."""
    first, spans = case.traces.forest.starts[:-1], case.traces.columns.spans
    decide = bool(case.traces.weights.is_from(*MARKS, TRACE_IDS).any())
    return _Ids(case.start_ns, spans.trace_lo[first], bool((spans.trace_hi[first] == 0).all()), decide)


_IDS: Final[Merged[_Ids]] = Merged(_ids, _Ids.plus)


def battery(low: Array) -> pd.DataFrame:
    """Return the results of all tests of the low halves of IDs in time order."""
    n, rows = len(low), []
    cells, shift = (256, 0) if n >= _MANY else (16, 4)
    for byte in _BYTES:
        value = (low >> np.uint64(8 * (15 - byte) + shift)) & np.uint64(cells - 1)
        often = np.bincount(value.astype(np.int64), minlength=cells)
        chi = float(((often - n / cells) ** 2).sum() / (n / cells))
        rows.append((f"byte {byte}", chi, float(scipy.special.chdtrc(cells - 1, chi))))
    x = (low & _LOW48).astype(np.float64)
    x = x - x.mean()
    scale = float((x * x).sum())
    serial = float((x[1:] * x[:-1]).sum()) / scale if scale else 1.0
    rows.append(("serial", serial, float(2 * scipy.special.ndtr(-abs(serial) * np.sqrt(n)))))
    repeated = n - len(np.unique(low & _LOW56))
    rows.append(
        ("repeated", repeated, float(scipy.special.pdtrc(repeated - 1, n * (n - 1) / 2.0**57)) if repeated else 1.0)
    )
    table = pd.DataFrame(rows, columns=["test", "statistic", "p"])
    return table.assign(q_bh=false_discovery(table["p"].to_numpy())).drop(columns="p")
