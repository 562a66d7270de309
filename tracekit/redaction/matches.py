"""Matches in texts: in one text, and of many texts as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from tracekit.redaction.kinds import KINDS, RANK
from tracekit.redaction.scan import blob_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from tracekit.columns import Array


class Match(NamedTuple):
    """Personal data or a secret in a text: where, in characters, and of what kind."""

    begin: int
    end: int
    kind: str


def merged(matches: list[Match]) -> list[Match]:
    """Return matches in order, those that overlap as one of the kind with the highest precedence."""
    out: list[Match] = []
    for match in sorted(matches):
        if out and match.begin < out[-1].end:
            last = out.pop()
            kind = min(last.kind, match.kind, key=RANK.__getitem__)
            out.append(Match(last.begin, max(last.end, match.end), kind))
        else:
            out.append(match)
    return out


class Matches(NamedTuple):
    """The matches of many texts: by row, in order and without overlaps.

    Parameters
    ----------
    row
        Row of the text of each match.
    begin, end
        Where it is in its text, in bytes of UTF-8.
    kind
        Place of its kind in ``KINDS``.
    """

    row: Array
    begin: Array
    end: Array
    kind: Array

    @classmethod
    def of(cls, found: Iterable[tuple[int, str, Sequence[Match]]]) -> Matches:
        """Return the matches of texts, given with their rows in order."""
        entries = [(row, *_place(text, match), RANK[match.kind]) for row, text, ms in found for match in ms]
        return cls(*np.array(entries, np.int64).reshape(-1, 4).T)

    def taken(self, at: Array) -> Matches:
        """Return the matches at these positions, or those of a mask."""
        return Matches(*(column[at] for column in self))

    def plus(self, other: Matches) -> Matches:
        """Return the matches of both, which are of different rows."""
        both = Matches(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))
        return both.taken(np.argsort(both.row, kind="stable"))

    def shared(self, owner: Array, rows: Array) -> Matches:
        """Return the matches of rows that have those of others: ``rows[k]``, in order, those of row ``owner[k]``."""
        count = np.bincount(self.row, minlength=int(owner.max(initial=-1)) + 1)
        size = count[owner]
        at = np.repeat((np.cumsum(count) - count)[owner] - np.cumsum(size) + size, size) + np.arange(size.sum())
        return self.taken(at)._replace(row=np.repeat(rows, size))

    def is_of(self, kinds: Container[str]) -> Array:
        """Return which matches are of some kinds."""
        return np.array([kind in kinds for kind in KINDS])[self.kind]

    def values_in(self, texts: pa.LargeStringArray) -> pa.LargeStringArray:
        """Return the value of each match."""
        whole = blob_of(texts)
        edges = (whole.offsets[self.row] + np.stack([self.begin, self.end])).T.ravel()
        return strings_at(np.append(edges, len(whole.data)), whole.data).take(pa.array(np.arange(0, len(edges), 2)))

    def cut(self, texts: pa.LargeStringArray) -> tuple[pa.LargeStringArray, Array, Array]:
        """Return texts cut at the begin and end of their matches, which parts are matches, and which begin a text.

        The parts of a text are what is before its first match, the match, what is before the next one, ..., what is
        behind the last one; all may be empty.
        """
        whole = blob_of(texts)
        low = whole.offsets[self.row]
        at = self.row + 2 * np.arange(len(self.row)) + 1
        edges = np.zeros(len(whole.offsets) + 2 * len(at), np.int64)
        is_match, is_first = np.zeros(len(edges), bool), np.ones(len(edges), bool)
        edges[at], edges[at + 1] = low + self.begin, low + self.end
        is_match[at] = True
        is_first[at] = is_first[at + 1] = False
        edges[is_first] = whole.offsets
        return strings_at(edges, whole.data), is_match[:-1], is_first

    def by_row(self, texts: pa.LargeStringArray) -> Iterator[tuple[int, str, list[Match]]]:
        """Yield row, text and matches of every text that has any."""
        rows, first = np.unique(self.row, return_index=True)
        wholes = texts.take(pa.array(rows, pa.int64())).to_pylist()
        ends = np.append(first, len(self.row))[1:].tolist()
        columns = [column.tolist() for column in (self.begin, self.end, self.kind)]
        for row, text, low, high in zip(rows.tolist(), wholes, first.tolist(), ends, strict=True):
            places = zip(*(column[low:high] for column in columns), strict=True)
            yield row, text, [_match(text, *place) for place in places]


def strings_at(offsets: Array, data: Array) -> pa.LargeStringArray:
    """Return the texts between offsets in bytes of UTF-8, without a copy."""
    return pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))


def _place(text: str, match: Match) -> tuple[int, int]:
    """Return where a match is in its text, in bytes."""
    if text.isascii():
        return match.begin, match.end
    begin = len(text[: match.begin].encode())
    return begin, begin + len(text[match.begin : match.end].encode())


def _match(text: str, begin: int, end: int, kind: int) -> Match:
    """Return a match from where it is in bytes."""
    if text.isascii():
        return Match(begin, end, KINDS[kind])
    raw = text.encode()
    low = len(raw[:begin].decode())
    return Match(low, low + len(raw[begin:end].decode()), KINDS[kind])
