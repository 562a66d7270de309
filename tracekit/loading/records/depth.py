"""The nesting depth of JSON text, measured before parsing, without recursion and without a loop per character.

``DepthMeter`` follows text that arrives in pieces; ``nests_deeper`` answers for one record.  Strings are cut out, all
brackets become one kind, and pairs are removed from the inside: every step is one pass of C over the bytes.  Text
that is not JSON is measured up to its first syntax error, where a parser stops as well.
"""

from __future__ import annotations

import re
from itertools import accumulate

from tracekit.loading import native

MAX_DEPTH = 200

_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_NO_BONE = bytes(sorted(set(range(256)) - set(b'"{}[]')))
_STRING = re.compile(rb'"[^"]*"')
_STEP = {ord("["): 1, ord("]"): -1}
_WALK_BYTES = 1 << 16


class DepthMeter:
    """Follows the nesting of JSON text that arrives in pieces.

    Parameters
    ----------
    depth
        Containers open before the first piece.
    limit
        Beyond it the highest depth is exact; below it is an upper bound.

    Attributes
    ----------
    depth : int
        Containers open after the last piece.
    in_string : bool
        Whether the last piece ended inside a string.
    escaped : bool
        Whether it ended right behind the backslash of an escape.
    """

    __slots__ = ("_limit", "depth", "escaped", "in_string")

    def __init__(self, depth: int = 0, *, limit: int = MAX_DEPTH) -> None:
        self.depth = depth
        self.in_string = False
        self.escaped = False
        self._limit = limit

    def feed(self, piece: bytes) -> tuple[int, int]:
        """Follow one more piece; return the lowest and the highest depth in it."""
        extension = native.compiled()
        if extension is not None:
            found = extension.depth(piece, self.depth, self.in_string, self.escaped)
            lowest, highest, self.depth, self.in_string, self.escaped = found
            return lowest, highest
        bones = self._bones(piece)
        before = self.depth
        rest, height = bones, 0
        while len(shorter := rest.replace(b"[]", b"")) < len(rest):
            rest, height = shorter, height + 1
            if height > self._limit:
                return self._walk(bones, before)
        lowest = before - rest.count(b"]")
        self.depth = lowest + rest.count(b"[")
        highest = max(before, self.depth) + height
        return (lowest, highest) if highest <= self._limit else self._walk(bones, before)

    def _bones(self, piece: bytes) -> bytes:
        """Return the brackets outside strings, all of one kind."""
        if self.escaped:
            piece = b"\\" + piece
        if b"\\" in piece:
            piece = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
        self.escaped = piece.endswith(b"\\")
        bones = piece.translate(_ONE_KIND, _NO_BONE)
        if self.in_string:
            bones = b'"' + bones
        bones = bones.replace(b'""', b"")
        if b'"' in bones:
            bones = _STRING.sub(b"", bones)
        quote = bones.find(b'"')
        self.in_string = quote >= 0
        return bones[:quote] if self.in_string else bones

    def _walk(self, bones: bytes, depth: int) -> tuple[int, int]:
        """Return the exact lowest and highest depth, bracket by bracket."""
        lowest = highest = depth
        for start in range(0, len(bones), _WALK_BYTES):
            part = bones[start : start + _WALK_BYTES]
            levels = list(accumulate(map(_STEP.__getitem__, part), initial=depth))
            lowest, highest, depth = min(lowest, *levels), max(highest, *levels), levels[-1]
        self.depth = depth
        return lowest, highest


def nests_deeper(data: bytes, limit: int = MAX_DEPTH) -> bool:
    """Return whether JSON text nests deeper than the limit."""
    if data.count(b"[") + data.count(b"{") <= limit:
        return False
    return DepthMeter(limit=limit).feed(data)[1] > limit
