"""The level (all traces, service, zone, host, instance) at which a gap seen at several levels is reported."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Array

_MOST = 0.8


class Alarm(NamedTuple):
    """A gap of one scope: its window, the entries of the scope, the number of missing traces, and the share lost."""

    scope: str
    start_ns: int
    end_ns: int
    members: Array
    missing: float
    lost: float


def explained_by(alarms: Sequence[Alarm]) -> list[int]:
    """Return for every alarm the alarm that reports it: itself, or another alarm of the same gap.

    Two alarms belong to the same gap if they overlap in time and at least 80% of one scope belongs to the other.  A
    part with less than 80% of the missing traces of the whole is explained by the whole.  Otherwise the part explains
    the whole, unless the whole lost nearly as large a share.  A part that shares no entries with the scope that
    explains the whole is a separate gap.
    """
    leads = list(range(len(alarms)))
    located, contained = _same_gap(alarms)
    for whole, part in located:
        if leads[whole] == whole:
            leads[whole] = part
    for whole, part in contained:
        if leads[part] == part and _shared(alarms[part], alarms[_end(leads, whole)]):
            leads[part] = whole
    return [_end(leads, at) for at in range(len(alarms))]


def _same_gap(alarms: Sequence[Alarm]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return pairs of whole and part with the same gap: those explained by the part, and those by the whole."""
    located: list[tuple[int, int]] = []
    contained: list[tuple[int, int]] = []
    for coarse, fine in itertools.combinations(range(len(alarms)), 2):
        one, other = alarms[coarse], alarms[fine]
        if not (one.start_ns < other.end_ns and other.start_ns < one.end_ns):
            continue
        if _shared(one, other) < _MOST * min(len(one.members), len(other.members)):
            continue
        whole, part = (coarse, fine) if len(one.members) >= _MOST * len(other.members) else (fine, coarse)
        is_located = alarms[part].missing >= _MOST * alarms[whole].missing
        is_purer = alarms[whole].lost < _MOST * alarms[part].lost
        (located if is_located and is_purer else contained).append((whole, part))
    return located, contained


def _shared(one: Alarm, other: Alarm) -> int:
    """Return the number of entries that belong to both scopes."""
    return len(np.intersect1d(one.members, other.members, assume_unique=True))


def _end(leads: Sequence[int], at: int) -> int:
    """Return the alarm at the end of a chain of explanations."""
    seen = {at}
    while leads[at] not in seen:
        at = leads[at]
        seen.add(at)
    return at
