"""Results of a store that are shown while it is read, with intervals for the result of the whole.

Parts of a store are chosen by a hash of the trace id, so the parts read so far are a random sample of all of them,
without replacement.  The parts are dealt to groups as they are read; how much the results of the groups differ gives
the interval (``stats.random_groups``).
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from tracekit.loading.store.dealing import Deal
from tracekit.loading.store.refined_tables import Goal, estimated, intervals_of, keys_of, table_of
from tracekit.loading.store.trace_store import TraceStore
from tracekit.readable_tables import as_html
from tracekit.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd


@dataclass(frozen=True, repr=False)
class Refinement:
    """The result of some parts of a store.

    Parameters
    ----------
    result
        Of the analysis, from the parts read: its counts are those of these parts.
    intervals
        One row per row of its table and estimated column (means, percentiles and ratios; totals of the first table):
        the keys; ``column``; ``estimate`` of the whole store (totals are scaled); ``low`` and ``high``, the interval
        for the value of the whole store, NaN where it is not estimable; ``share`` of the spans in this row.
    read_count, part_count
        Parts read, and all.
    is_enough
        The interval is as narrow as asked, or all parts were read.
    """

    result: Any
    intervals: pd.DataFrame
    read_count: int
    part_count: int
    is_enough: bool

    @property
    def is_exact(self) -> bool:
        """Whether all parts were read."""
        return self.read_count == self.part_count

    def __repr__(self) -> str:
        state = "exact" if self.is_exact else "as accurate as asked" if self.is_enough else "an estimate"
        return f"Refinement({self.read_count:,} of {plural(self.part_count, 'part')}, {state}: {self.result!r})"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{as_html(self.intervals.head(12))}"


class Refining:
    """Results after each part of a store; ``tk.refine`` returns it.

    Iterate to get them; a notebook that displays it reads on and replaces the output after each part.  Interrupting
    keeps ``last``, and iterating again goes on after it.

    Attributes
    ----------
    last : Refinement or None
        The latest result.
    """

    def __init__(self, begin: Callable[[int], Iterator[Refinement]]) -> None:
        self._begin = begin
        self._steps = begin(0)
        self.last: Refinement | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Refinement:
        try:
            self.last = next(self._steps)
        except StopIteration:
            raise
        except BaseException:  # an interrupt: the next call goes on after the last result
            self._steps = self._begin(0 if self.last is None else self.last.read_count)
            raise
        return self.last

    def __repr__(self) -> str:
        return f"Refining({self.last!r})"

    def _ipython_display_(self) -> None:
        """Show each result in place of the one before."""
        from IPython.display import display  # noqa: PLC0415 - only a notebook calls this

        shown = None
        for step in self:
            if shown is None:
                shown = display(step, display_id=True)  # type: ignore[no-untyped-call]  # has no types
            else:
                shown.update(step)


def refine(
    analysis: Callable[..., Any],
    store: TraceStore,
    *,
    until: str | None = None,
    parts: int = 1,
    seed: int = 0,
    confidence: float = 0.95,
    **arguments: Any,
) -> Refining:
    """Return the result of an analysis after each part of a store, with intervals for the whole store.

    Parameters
    ----------
    analysis
        A function that takes a store, such as ``tk.latency``.
    store
        What ``tk.open`` returns; at least a few parts are needed for an interval.
    until
        A column of the result and its accuracy, ``"p95_ns +- 2%"`` or ``"mean_ns +- 1 ms"``: reading ends when every
        row with at least 1% of the spans is as accurate.  Without it all parts are read.
    parts
        Parts to read between two results.
    seed
        Another seed reads the parts in another order.
    confidence
        Confidence level of the intervals.
    **arguments
        Further arguments of the analysis, such as ``by`` and ``on``.

    Returns
    -------
    Refining
        An iterator of ``Refinement``: ``.result``, ``.intervals``, ``.read_count``, ``.is_exact``.

    Raises
    ------
    TypeError
        Not a store.
    ValueError
        ``until`` is not a column with its accuracy, the column is not estimated, ``parts`` is below 1, or the
        store has no parts.

    Notes
    -----
    The parts are random samples of the traces, drawn without replacement. The interval compares at most 20 groups of
    parts (random groups, t quantiles, finite-population correction); it is about the value that reading all parts
    gives, not about traffic that was not recorded. It is not estimable for a row that some group lacks. Looking after
    each part and stopping at the first narrow interval lowers its coverage a little. An analysis that needs several
    passes repeats the later ones for parts already read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = tk.open(shop.save(f"{folder}/shop.parquet"))
    ...     for step in tk.refine(tk.latency, store, until="p95_ns +- 2%"):
    ...         print(step)
    Refinement(1 of 1 part, exact: Latency(8 groups, 28 spans; sampling weights unknown))
    """
    if not isinstance(store, TraceStore):
        raise TypeError(f"expected a TraceStore for tk.refine, found {type(store).__name__}; tk.open opens a store")
    if parts < 1:
        raise ValueError(f"expected parts of 1 or more, found {parts}")
    if not 0 < confidence < 1:
        raise ValueError(f"expected a confidence level between 0 and 1, such as 0.95, found {confidence!r}")
    if not store.part_count:
        raise ValueError("expected at least one part, found none in the window; see period_ns")
    goal = None if until is None else Goal.of(until)
    return Refining(partial(_steps, analysis, Deal(store, seed), goal, parts, confidence, arguments))


def _steps(
    analysis: Callable[..., Any],
    deal: Deal,
    goal: Goal | None,
    parts: int,
    confidence: float,
    arguments: dict[str, Any],
    after: int,
) -> Iterator[Refinement]:
    """Yield the results after so many parts until the goal is met or all parts are read."""
    total = deal.part_count
    for read in [*range(after + parts, total, parts), *([total] if after < total else [])]:
        result = analysis(deal.first(read), **arguments)
        table, is_first = table_of(result, goal)
        sizes = deal.sizes(read)
        numbers = [] if read == total else range(len(sizes))
        groups = [table_of(analysis(deal.group(read, number), **arguments), goal)[0] for number in numbers]
        columns = estimated(table, with_totals=is_first)
        intervals = intervals_of(table, groups, sizes, total, keys_of(table, arguments), columns, confidence)
        is_enough = read == total or (goal is not None and goal.is_met(intervals))
        yield Refinement(result, intervals, read, total, is_enough)
        if is_enough:
            return
