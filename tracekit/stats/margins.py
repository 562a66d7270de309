"""Counts of a table of which only sums are known: the largest and smallest share that fits them, by linear programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.schema import Array

_WHOLE = 1e-6  # a count so near to an integer is one
_SETTLED = 1e-12
_ROUNDS = 50


class Margin(NamedTuple):
    """One table of sums: the row of each cell (-1 without one), and the sum of each row."""

    row: Array
    total: Array


class Columns(NamedTuple):
    """Ways in which the requests of a cell may count.

    Parameters
    ----------
    cell
        The cell.
    is_inside
        bool: whether they are among the requests that the share is of.
    is_event
        bool: whether they are events.
    is_limited
        bool: whether their number is limited over all cells.
    """

    cell: Array
    is_inside: Array
    is_event: Array
    is_limited: Array


def extreme_counts(
    margins: Sequence[Margin], columns: Columns, known: tuple[float, float], limit: float, *, highest: bool
) -> Array | None:
    """Return the counts of the columns for which the share of events is as high, or as low, as it can be.

    Parameters
    ----------
    margins
        Sums of the counts over all columns of the cells of each row.
    columns
        The unknown counts.
    known
        Further events, and further requests (more than 0), that are known.
    limit
        Largest sum of the limited columns.
    highest
        Whether the share is maximized.

    Returns
    -------
    numpy.ndarray or None
        float64, one per column; None where no counts fit all sums.

    Notes
    -----
    A linear-fractional program, solved as a series of linear programs (HiGHS): the events minus the last share of the
    requests are maximized until the share no longer grows.  Counts need not be integers where three or more margins
    overlap, so that the share is then a bound that may not be attained.

    Source: Dinkelbach, On nonlinear fractional programming (1967).

    Examples
    --------
    Ten requests, of which 3 failed and 4 are inside:

    >>> cell, ways = (
    ...     np.arange(4),
    ...     Columns(np.arange(4), np.array([1, 1, 0, 0]) > 0, np.array([1, 0, 1, 0]) > 0, np.zeros(4, bool)),
    ... )
    >>> margins = [Margin(cell // 2, np.array([4.0, 6.0])), Margin(cell % 2, np.array([3.0, 7.0]))]
    >>> extreme_counts(margins, ways, (0.0, 1.0), 0.0, highest=True).tolist()
    [3.0, 1.0, 0.0, 6.0]
    """
    sign = 1.0 if highest else -1.0
    events = (columns.is_inside & columns.is_event).astype(np.float64)
    inside = columns.is_inside.astype(np.float64)
    best: Array | None = None
    share = known[0] / known[1]
    for _ in range(_ROUNDS):
        counts = solve(margins, columns, -sign * (events - share * inside), limit)
        if counts is None:
            return None
        reached = float(known[0] + events @ counts) / float(known[1] + inside @ counts)
        if best is not None and sign * (reached - share) <= _SETTLED:
            break
        best, share = counts, reached
    return best


def solve(margins: Sequence[Margin], columns: Columns, objective: Array, limit: float) -> Array | None:
    """Return the counts that fit the margins and minimize the objective; None where none fit.

    Parameters
    ----------
    margins, columns, limit
        As for ``extreme_counts``.
    objective
        Of one request of each column.

    Returns
    -------
    numpy.ndarray or None
        float64, one per column.

    Examples
    --------
    >>> ways = Columns(np.zeros(2, int), np.ones(2, bool), np.array([True, False]), np.array([True, False]))
    >>> solve([Margin(np.zeros(1, int), np.array([9.0]))], ways, np.array([-1.0, 0.0]), 2.0).tolist()
    [2.0, 7.0]
    """
    from scipy.optimize import linprog  # noqa: PLC0415 - loads slowly, and few bounds need it
    from scipy.sparse import coo_array, vstack  # noqa: PLC0415 - likewise

    blocks, totals = [], []
    for margin in margins:
        row = margin.row[columns.cell]
        at = np.flatnonzero(row >= 0)
        blocks.append(coo_array((np.ones(len(at)), (row[at], at)), shape=(len(margin.total), len(row))))
        totals.append(margin.total)
    limited = columns.is_limited.astype(np.float64)[None, :]
    found = linprog(
        objective, A_ub=limited, b_ub=[limit], A_eq=vstack(blocks).tocsr(), b_eq=np.concatenate(totals), method="highs"
    )
    if found.status == 2:  # noqa: PLR2004 - infeasible
        return None
    if found.status:
        raise ValueError(f"the linear program of the bounds was not solved: {found.message}")
    counts = np.maximum(found.x, 0.0)
    return np.asarray(np.where(np.abs(counts - np.rint(counts)) < _WHOLE, np.rint(counts), counts))
