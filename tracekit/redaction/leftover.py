"""Search of many bytes for many values at once: where removed values are left."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tracekit.columns import Array
    from tracekit.redaction.scan import Blob

LEAST: Final = 6  # bytes of a value that is searched for: shorter ones occur by chance
LONG: Final = 12  # bytes from which a value is found inside of words too
_BLOCK: Final = 1 << 22
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_WORD: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


def rows_with(texts: Blob, values: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield row and value of each occurrence in one of several texts, in which a neighbouring text is no neighbour.

    Examples
    --------
    >>> from tracekit.redaction.scan import blob
    >>> list(rows_with(blob(["in Martin", "Martin", "out, Mar", "tin"]), ["Martin"]))
    [(0, 'Martin'), (1, 'Martin')]
    """
    for at, value in occurrences(texts.data, values, edges=texts.offsets):
        yield int(np.searchsorted(texts.offsets, at, "right")) - 1, value


def occurrences(data: Array, values: Iterable[str], *, edges: Array | None = None) -> Iterator[tuple[int, str]]:
    """Yield the position and value of each occurrence, in bytes; values shorter than ``LEAST`` are not searched for.

    A value of up to ``LONG`` bytes has to stand alone: not inside of a longer word.  The first six bytes of every value
    are compared with all positions by a hash, so that the time does not depend on the number of values.  ``edges``:
    where texts begin and end, in order; a value is in one text, and the edge of a text is that of a word.

    Examples
    --------
    >>> text = np.frombuffer(b"Martin drove a martingale, Martingale", np.uint8)
    >>> list(occurrences(text, ["Martin", "absent"]))
    [(0, 'Martin')]
    """
    by_start: defaultdict[int, defaultdict[int, dict[bytes, str]]] = defaultdict(lambda: defaultdict(dict))
    for value in dict.fromkeys(values):
        raw = value.encode("utf-8", "surrogatepass")
        if len(raw) >= LEAST:
            by_start[int.from_bytes(raw[:LEAST], "little")][len(raw)][raw] = value
    if not by_start:
        return
    starts = np.sort(np.array(list(by_start), np.uint64))
    known = np.zeros(1 << 16, bool)
    known[(starts * _GOLDEN) >> np.uint64(48)] = True
    whole = data.tobytes()
    for low in range(0, len(data) - LEAST + 1, _BLOCK):
        windows = _windows(data[low : low + _BLOCK + LEAST - 1])
        likely = np.flatnonzero(known[(windows * _GOLDEN) >> np.uint64(48)])
        likely = likely[np.isin(windows[likely], starts)]
        for at, start in zip((likely + low).tolist(), windows[likely].tolist(), strict=True):
            for size, known_values in by_start[start].items():
                found = known_values.get(whole[at : at + size])
                if found is not None and _is_in_one(whole, at, at + size, edges):
                    yield at, found


def _windows(data: Array) -> Array:
    """Return the number that the six bytes from each position are."""
    size = len(data) - LEAST + 1
    windows = np.zeros(size, np.uint64)
    for k in range(LEAST):
        windows |= data[k : k + size].astype(np.uint64) << np.uint64(8 * k)
    return windows


def _is_in_one(data: bytes, begin: int, end: int, edges: Array | None) -> bool:
    """Return whether a value is in one text, and if it is short, no part of a longer word there."""
    low, high = (0, len(data)) if edges is None else _around(edges, begin)
    if end > high:
        return False
    before = begin > low and data[begin - 1] in _WORD and data[begin] in _WORD
    behind = end < high and data[end] in _WORD and data[end - 1] in _WORD
    return end - begin >= LONG or not (before or behind)


def _around(edges: Array, at: int) -> tuple[int, int]:
    """Return where the text at a position begins and ends."""
    next_edge = int(np.searchsorted(edges, at, "right"))
    return int(edges[next_edge - 1]), int(edges[next_edge])
