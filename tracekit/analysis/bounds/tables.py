"""Several frames of request counts as one table of cells, of which the frames are margins."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.bounds.limits import EMPTY, UNTRACED
from tracekit.analysis.bounds.unseen import PLACE, totals_of
from tracekit.stats.margins import Columns, Margin, extreme_counts, solve
from tracekit.stats.worst_case import Masses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.bounds.limits import Limits
    from tracekit.analysis.bounds.unseen import Counted
    from tracekit.columns import Array


class Cells(NamedTuple):
    """The cells of the joint table that can have requests.

    Parameters
    ----------
    cell
        Their numbers.
    may_be_in, is_in
        bool: whether their requests may be, or are for certain, of the endpoint.
    is_5xx
        bool: whether their status is 5xx.
    is_empty
        bool: whether no trace starts in their window.
    """

    cell: Array
    may_be_in: Array
    is_in: Array
    is_5xx: Array
    is_empty: Array


def joint(frames: Sequence[Counted]) -> tuple[list[Margin], Cells]:
    """Return the margins of the joint table, and its cells.

    A cell is a window, whether each dimension fits the endpoint, and whether the status is 5xx: labels of which the
    bounds do not depend are merged.  Windows of different lengths are cut at all of their ends.
    """
    flags = [f"is_{name}" for name in PLACE if any(name in frame.dimensions for frame in frames)]
    flags += ["is_failed"] * any(frame.has_status for frame in frames)
    timed = [frame.rows for frame in frames if frame.has_time]
    ends = [rows[name].to_numpy(np.int64) for rows in timed for name in ("start_ns", "end_ns")]
    edges = np.unique(np.concatenate(ends)) if ends else np.array([0, 1])
    grid = np.indices((len(edges) - 1, *[2] * len(flags))).reshape(len(flags) + 1, -1)
    atom, fits = edges[grid[0]], dict(zip(flags, grid[1:].astype(bool), strict=True))
    margins, possible, is_empty = [], np.ones(len(atom), bool), np.zeros(len(atom), bool)
    for frame in frames:
        margin, empty = _margin(frame, atom, fits)
        margins.append(margin)
        has_row = margin.row >= 0
        possible &= ~has_row | (margin.total[np.maximum(margin.row, 0)] > 0)
        is_empty |= empty
    is_covered = np.any([margin.row >= 0 for margin in margins], axis=0)
    may_be_in = np.logical_and.reduce(
        [fits[name] for name in flags if name != "is_failed"] or [np.ones(len(atom), bool)]
    )
    is_in = may_be_in & any(frame.is_determined for frame in frames)
    cell = np.flatnonzero(possible & is_covered)
    is_5xx = fits.get("is_failed", np.zeros(len(atom), bool))
    return margins, Cells(cell, *(column[cell] for column in (may_be_in, is_in, is_5xx, is_empty)))


def _margin(frame: Counted, atom: Array, fits: dict[str, Array]) -> tuple[Margin, Array]:
    """Return the sums of one frame, and which cells are in windows without traces."""
    rows, own = frame.rows, [f"is_{name}" for name in PLACE if name in frame.dimensions]
    own += ["is_failed"] * frame.has_status
    window, inside, empty = np.zeros(len(atom), np.int64), np.ones(len(atom), bool), np.zeros(len(atom), bool)
    at, size = np.zeros(len(rows), np.int64), 1
    if frame.has_time:
        starts, first = np.unique(rows["start_ns"], return_index=True)
        ends, size = rows["end_ns"].to_numpy()[first], len(starts)
        window = np.searchsorted(starts, atom, "right") - 1
        inside = (window >= 0) & (atom < ends[window])
        empty = inside & rows["is_empty"].to_numpy(bool)[first][window]
        at = np.searchsorted(starts, rows["start_ns"])
    for name in own:
        window, at, size = window * 2 + fits[name], at * 2 + rows[name].to_numpy(bool), size * 2
    total = np.bincount(at, rows["unseen_count"], minlength=size)
    return Margin(np.where(inside, window, -1), total), empty


def counts_at_worst(
    frames: Sequence[Counted], limits: Limits, known: tuple[float, float], pool: float, *, highest: bool
) -> Masses:
    """Return the lost requests for which the error rate is as high, or as low, as it can be.

    Parameters
    ----------
    frames
        Counts of the same requests.
    limits
        What is stated about lost requests.
    known
        Recorded requests that failed, and all recorded requests.
    pool
        Requests that were recorded without an outcome: ``always_recorded`` does not exclude that they failed.
    highest
        Whether the error rate is as high as possible.

    Returns
    -------
    Masses
        Of the endpoint.

    Raises
    ------
    ValueError
        The frames are not counts of the same requests.
    """
    margins, cells = joint(frames)
    is_free = ~cells.is_5xx & (not limits.only_5xx_failed)
    is_kept = is_free & limits.keeps_failed & ~cells.is_empty
    ways = (  # which cells, inside the endpoint, failed, among those recorded without an outcome
        (cells.may_be_in & ~cells.is_5xx, True, False, False),
        (cells.may_be_in & (cells.is_5xx | (is_free & ~is_kept)), True, True, False),
        (cells.may_be_in & is_kept, True, True, True),
        (~cells.is_in, False, False, False),
    )
    at = [np.flatnonzero(which) for which, *_ in ways]
    place = np.concatenate(at)
    inside, failed, limited = (
        np.concatenate([np.full(len(rows), way[k]) for rows, way in zip(at, ways, strict=True)]) for k in (1, 2, 3)
    )
    columns = Columns(cells.cell[place], inside, failed, limited)
    counts = extreme_counts(margins, columns, known, pool, highest=highest)
    if counts is None:
        raise _inconsistent(frames)
    source = np.where(cells.is_empty[place], EMPTY, UNTRACED)
    masses = [
        (float(value), float(counts[inside & (failed == value) & (source == number)].sum()), number)
        for value in ((1, 0) if highest else (0, 1))
        for number in (UNTRACED, EMPTY)
    ]
    return Masses.of(masses)


def most_and_least(frames: Sequence[Counted]) -> tuple[Array, Array]:
    """Return the most requests of the endpoint that can be lost, without and in windows without traces; and limits.

    Returns
    -------
    tuple of numpy.ndarray
        Of the solution with most requests: those in other windows, those in windows without traces.  Then the fewest in
        other windows and the most in windows without traces, each by itself.
    """
    margins, cells = joint(frames)
    is_certain = cells.is_in
    at = np.concatenate([np.flatnonzero(cells.may_be_in), np.flatnonzero(~is_certain)])
    inside = np.arange(len(at)) < int(cells.may_be_in.sum())
    none = np.zeros(len(at), bool)
    columns = Columns(cells.cell[at], inside, none, none)
    empty = cells.is_empty[at]
    found = []
    for objective in (-inside.astype(float), (inside & ~empty).astype(float), -(inside & empty).astype(float)):
        counts = solve(margins, columns, objective, 0.0)
        if counts is None:
            raise _inconsistent(frames)
        found.append(np.array([counts[inside & ~empty].sum(), counts[inside & empty].sum()]))
    return found[0], np.array([found[1][0], found[2][1]])


def _inconsistent(frames: Sequence[Counted]) -> ValueError:
    """Return the error for frames that no requests fit."""
    return ValueError(
        f"expected counts of the same requests in every frame, found no requests that fit all of them: without a "
        f"usable trace are {totals_of(frames)}; count the same requests in the same period"
    )
