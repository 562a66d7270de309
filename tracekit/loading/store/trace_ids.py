"""Ids of traces as texts and numbers, and which of many are wanted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.filters import plain_id

if TYPE_CHECKING:
    from tracekit.columns import Array

_TRACE_ID: Final = re.compile("[0-9a-f]{1,32}")


def id_text(trace_id: object) -> str:
    """Return the id of a trace; TypeError for what is no text."""
    if not isinstance(trace_id, str):
        raise TypeError(f"expected the id of a trace as text, found {type(trace_id).__name__}")
    return trace_id


def number_of(trace_id: str) -> int:
    """Return the id of a trace as a number; ValueError for another text."""
    plain = plain_id(id_text(trace_id))
    if not _TRACE_ID.fullmatch(plain):
        raise ValueError(f"expected the id of a trace, up to 32 hexadecimal digits, found {trace_id!r}")
    return int(plain, 16)


def is_among(hi: Array, lo: Array, wanted: Array) -> Array:
    """Return whether each id is one of those wanted, pairs in ascending order of (hi, lo)."""
    ids = np.zeros(len(wanted) + len(hi), [("hi", np.uint64), ("lo", np.uint64)])
    ids["hi"], ids["lo"] = np.append(wanted[:, 0], hi), np.append(wanted[:, 1], lo)
    order = np.lexsort((ids["lo"], ids["hi"]))
    number = np.empty(len(ids), np.int64)
    number[order] = np.cumsum(np.append(False, ids[order][1:] != ids[order][:-1]))
    is_wanted = np.zeros(len(ids), bool)
    is_wanted[number[: len(wanted)]] = True
    return np.asarray(is_wanted[number[len(wanted) :]])
