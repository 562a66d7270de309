"""Results of a store that are shown while it is read, with intervals for the result of the whole.

Parts of a store are chosen by a hash of the trace id, so the parts read so far are a random sample of all of them,
without replacement.  The parts are dealt to groups as they are read; how much the results of the groups differ gives
the interval (``stats.random_groups``).
"""

from __future__ import annotations

import html
import itertools
import operator
import os
import pickle
import re
from dataclasses import dataclass, fields, is_dataclass
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pandas as pd

from tracekit.loading.store.execution import over_tasks
from tracekit.loading.store.reading import period_of
from tracekit.loading.store.trace_store import TraceStore
from tracekit.readable_tables import as_html
from tracekit.stats.random_groups import group_limits
from tracekit.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tracekit.columns import Array
    from tracekit.loading.store.part_task import PartTask
    from tracekit.parts import On

GROUPS: Final = 20
LARGE: Final = 0.01  # rows with this share of the spans must be as accurate as asked
_UNTIL: Final = re.compile(r"\s*(\w+)\s*(?:\+-|±|\+/-)\s*(\d+(?:\.\d+)?)\s*(%|ns|us|µs|ms|s|)\s*")
_UNITS: Final = {"ns": 1, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9, "": 1}
_TOTALS: Final = {  # of the first table of a result: they grow with every part
    "span_count", "call_count", "error_count", "request_count", "trace_count", "bad_count", "weight_sum", "fault_count",
    "client_count", "throttle_count", "unspecified_count", "unfinished_count", "path_time_ns", "self_time_ns", "usd",
}  # fmt: skip
_AVERAGES: Final = re.compile(r"(?!.*_(low|high)(_|$))((.*_)?(mean|p\d+)(_.*)?_ns|.*_ratio|calls_per_request)")
_JUDGED: Final = {"verdict", "reason", "status"}  # what is said of a row, not what it is about


# -------------------------------------------------------------------- what was asked


@dataclass(frozen=True)
class _Goal:
    """A column of the result and how accurate it must be: a share of the value, or an amount."""

    column: str
    reach: float
    is_share: bool

    @classmethod
    def of(cls, text: str) -> _Goal:
        """Return the goal of a text such as ``p95_ns +- 2%``."""
        match = _UNTIL.fullmatch(text)
        if match is None or not 0 < float(match[2]) < np.inf:
            raise ValueError(f'expected until= as a column and its accuracy, "p95_ns +- 2%", found {text!r}')
        amount = float(match[2])
        return cls(match[1], amount / 100 if match[3] == "%" else amount * _UNITS[match[3]], match[3] == "%")

    def is_met(self, intervals: pd.DataFrame) -> bool:
        """Return whether every large row is as accurate as asked."""
        rows = intervals[(intervals["column"] == self.column) & (intervals["share"] >= LARGE)]
        reach = (rows["high"] - rows["low"]) / 2
        return bool(len(rows) and (reach <= self.reach * (rows["estimate"].abs() if self.is_share else 1)).all())


# -------------------------------------------------------------------- what was found


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
    goal = None if until is None else _Goal.of(until)
    return Refining(partial(_steps, analysis, _Deal(store, seed), goal, parts, confidence, arguments))


def _steps(
    analysis: Callable[..., Any],
    deal: _Deal,
    goal: _Goal | None,
    parts: int,
    confidence: float,
    arguments: dict[str, Any],
    after: int,
) -> Iterator[Refinement]:
    """Yield the results after so many parts until the goal is met or all parts are read."""
    total = deal.part_count
    for read in [*range(after + parts, total, parts), *([total] if after < total else [])]:
        result = analysis(deal.first(read), **arguments)
        table, is_first = _table_of(result, goal)
        sizes = deal.sizes(read)
        numbers = [] if read == total else range(len(sizes))
        groups = [_table_of(analysis(deal.group(read, number), **arguments), goal)[0] for number in numbers]
        columns = _estimated(table, with_totals=is_first)
        intervals = _intervals(table, groups, sizes, total, _keys(table, arguments), columns, confidence)
        is_enough = read == total or (goal is not None and goal.is_met(intervals))
        yield Refinement(result, intervals, read, total, is_enough)
        if is_enough:
            return


# -------------------------------------------------------------------- some of the parts


class _Deal:
    """The parts of a store in random order, dealt to groups, with the states of each group.

    An analysis reads a store in one or more passes, numbered from 0.  The states of a pass are kept as long as it
    computes the same function of a part.
    """

    def __init__(self, store: TraceStore, seed: int) -> None:
        self._store = store
        self._order: list[int] = np.random.default_rng(seed).permutation(store.part_count).tolist()
        self._passes: list[_Pass] = []
        self._first = store

    @property
    def part_count(self) -> int:
        """Number of all parts."""
        return len(self._order)

    def sizes(self, count: int) -> Array:
        """Return the number of parts of each group after so many parts."""
        return np.bincount(np.arange(count) % GROUPS)

    def first(self, count: int) -> TraceStore:
        """Return the store of the first parts; states of parts that were read before are reused."""
        numbers = itertools.count()

        def read(_: Any, state: Callable[[Any], Any], merge: Callable[[Any, Any], Any], on: On) -> Any:
            return reduce(merge, self._pass(next(numbers), state).after(self._parts(count), state, merge, on))

        self._first = self._store.only(self._order[:count], reader=read)
        return self._first

    def group(self, count: int, group: int) -> TraceStore:
        """Return the store of those of them that are in a group.

        States that ``first`` has just computed are reused; a later pass, which depends on the results of the first one,
        reads the parts of the group again.
        """
        numbers = itertools.count()

        def read(tasks: Any, state: Any, merge: Callable[[Any, Any], Any], on: On) -> Any:
            number = next(numbers)
            if number >= len(self._passes):  # a group may need a pass that all parts together did not
                return over_tasks(tasks, state, merge, on)
            done = self._passes[number]
            if state is period_of:  # one period, and so one set of time steps
                return reduce(merge, done.states)
            return done.states[group] if _name(state) == done.name else over_tasks(tasks, state, merge, on)

        found = self._store.only(self._order[group:count:GROUPS], reader=read)
        if not self._first.is_chosen:
            found.period_ns = self._first.period_ns
        return found

    def _parts(self, count: int) -> list[PartTask]:
        """Return the first parts."""
        return self._store.only(self._order[:count]).tasks

    def _pass(self, number: int, state: Callable[[Any], Any]) -> _Pass:
        """Return the states of a pass so far: none if it now computes something else, or if that is not known."""
        name = _name(state)
        if number == len(self._passes):
            self._passes.append(_Pass(name))
        if self._passes[number].name != name:
            self._passes[number] = _Pass(name)
        return self._passes[number]


def _name(state: Callable[[Any], Any]) -> bytes:
    """Return what identifies a function of a part; something new each time for one that cannot be pickled."""
    try:
        return pickle.dumps(state)
    except (pickle.PicklingError, AttributeError, TypeError):  # a function of a notebook
        return os.urandom(16)


class _Pass:
    """The states of the groups in one pass of an analysis."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.states: list[Any] = []
        self._count = 0

    def after(self, tasks: Sequence[PartTask], state: Callable[[Any], Any], merge: Any, on: On) -> list[Any]:
        """Return the states after reading these parts, of which the first may have been read before."""
        if self._count < len(tasks):
            states, made = list(self.states), over_tasks(tasks[self._count :], _Listed(state), operator.add, on)
            for group, one in zip((at % GROUPS for at in range(self._count, len(tasks))), made, strict=True):
                if group == len(states):
                    states.append(one)
                else:
                    states[group] = merge(states[group], one)
            self.states, self._count = states, len(tasks)
        return self.states


@dataclass(frozen=True)
class _Listed:
    """Returns the state of a part as a list, so that those of several parts are joined and not merged."""

    partial: Callable[[Any], Any]

    def __call__(self, traces: Any) -> list[Any]:
        """Return the state in a list."""
        return [self.partial(traces)]


# -------------------------------------------------------------------- intervals


def _table_of(result: Any, goal: _Goal | None) -> tuple[pd.DataFrame, bool]:
    """Return the table with the column of the goal, without a goal the first one, and whether it is the first."""
    found = list(_tables(result).values())
    for at, table in enumerate(found):
        if goal is None or goal.column in _estimated(table, with_totals=not at):
            return table.reset_index() if table.index.names != [None] else table, not at
    if goal is None:
        raise ValueError(f"expected a result with tables, found {type(result).__name__}; call it without tk.refine")
    known = [name for at, table in enumerate(found) for name in _estimated(table, with_totals=not at)]
    columns = ", ".join(dict.fromkeys(known))
    raise ValueError(f"expected until= about a column that is estimated, found {goal.column!r}; there are {columns}")


def _tables(result: Any) -> dict[str, pd.DataFrame]:
    """Return the tables of a result by name."""
    if isinstance(result, pd.DataFrame):
        return {"": result}
    names = [field.name for field in fields(result)] if is_dataclass(result) else []
    return {name: value for name in names if isinstance(value := getattr(result, name), pd.DataFrame)}


def _estimated(table: pd.DataFrame, *, with_totals: bool) -> list[str]:
    """Return the columns whose value in the whole store is estimated."""
    numbers = table.select_dtypes("number").columns
    return [name for name in numbers if _AVERAGES.fullmatch(name) or (with_totals and name in _TOTALS)]


def _keys(table: pd.DataFrame, arguments: Mapping[str, Any]) -> list[str]:
    """Return the columns that say what a row is about: the first ones without numbers, and those asked for."""
    by = arguments.get("by", ())
    asked = {by} if isinstance(by, str) else set(by)
    numbers = [pd.api.types.is_numeric_dtype(kind) for kind in table.dtypes]
    first = numbers.index(True) if True in numbers else len(numbers)
    return [name for at, name in enumerate(table.columns) if (at < first or name in asked) and name not in _JUDGED]


def _intervals(
    table: pd.DataFrame,
    groups: list[pd.DataFrame],
    sizes: Array,
    part_count: int,
    keys: list[str],
    estimated: list[str],
    confidence: float,
) -> pd.DataFrame:
    """Return the estimates of the whole store with their intervals, a row per row and column of a table."""
    columns = [name for name in estimated if name not in keys]
    whole = _scaled(table[columns], part_count / sizes.sum())
    some = np.full((len(sizes), whole.size), np.nan)
    for at, other in enumerate(groups):
        some[at] = _values(other, table, keys, columns, part_count / sizes[at]).ravel()
    low, high = group_limits(whole.ravel(), some, sizes, part_count, confidence=confidence)
    is_positive = np.tile(np.nanmin(whole, axis=0, initial=0.0) >= 0, len(table))
    counted = next((name for name in columns if name in _TOTALS and name.endswith("_count")), None)
    share = np.ones(len(table)) if counted is None else table[counted].to_numpy(float) / max(table[counted].sum(), 1)
    long = table[keys].loc[table.index.repeat(len(columns))].reset_index(drop=True)
    return long.assign(
        column=np.tile(np.array(columns, object), len(table)).astype(str),
        estimate=whole.ravel(),
        low=np.where(is_positive, np.maximum(low, 0.0), low),
        high=high,
        share=np.repeat(share, len(columns)),
    )


def _values(table: pd.DataFrame, rows: pd.DataFrame, keys: list[str], columns: list[str], factor: float) -> Array:
    """Return the columns for the rows of another table, totals scaled; NaN for rows that are missing or not unique."""
    if keys:
        table = rows[keys].merge(table[[*keys, *columns]].drop_duplicates(keys, keep=False), on=keys, how="left")
    elif len(table) != len(rows):
        table = pd.DataFrame(np.nan, index=rows.index, columns=columns)
    return _scaled(table[columns], factor)


def _scaled(table: pd.DataFrame, factor: float) -> Array:
    """Return a table as numbers, totals multiplied by a factor."""
    scale = [factor if name in _TOTALS else 1.0 for name in table.columns]
    return np.asarray(table.to_numpy(np.float64, na_value=np.nan) * scale)
