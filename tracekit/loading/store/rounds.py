"""Several analyses of a store together: each round reads every part once, for all of them.

An analysis asks for states of the parts, one pass after the other.  Instead of a pass of its own, each one gets as far
as its first unknown state; a round computes the states that all of them asked for, and they are started again with
these known.  The results are those of separate passes.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracekit.loading.store.execution import over_tasks
from tracekit.parts import Prepared

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracekit.loading.store.part_task import PartTask
    from tracekit.loading.store.trace_store import TraceStore
    from tracekit.parts import On
    from tracekit.traces import TraceSet

_MOST: Final = 8  # rounds; an analysis that needs more states than that reads the rest by itself


class _Unknown(Exception):  # noqa: N818 - no error: it ends an attempt
    """A state is needed that has not been computed."""


class _Asked(NamedTuple):
    """A state that an analysis asked for."""

    tasks: Sequence[PartTask]
    partial: Callable[[TraceSet], Any]
    merge: Callable[[Any, Any], Any]
    on: On


@dataclass(frozen=True)
class _All:
    """Returns the states of a part for several analyses."""

    partials: tuple[Callable[[TraceSet], Any], ...]

    def __call__(self, traces: TraceSet) -> tuple[Any, ...]:
        """Return the states of some traces."""
        prepared: dict[Any, Any] = {}
        return tuple(_state(partial, traces, prepared) for partial in self.partials)


@dataclass(frozen=True)
class _Each:
    """Merges the states of several analyses."""

    merges: tuple[Callable[[Any, Any], Any], ...]

    def __call__(self, first: tuple[Any, ...], second: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the states of both."""
        return tuple(merge(one, other) for merge, one, other in zip(self.merges, first, second, strict=True))


@dataclass(eq=False)
class Rounds:
    """States of the parts of stores, each computed once; the reader of stores (``TraceStore.only``).

    It keeps every state, whose size does not depend on the number of spans but for what the analyses say of theirs.

    Examples
    --------
    >>> import tempfile
    >>> from tracekit.loading.store.trace_store import open
    >>> rounds = Rounds()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = rounds.of(open(shop.save(f"{folder}/shop.parquet")))
    ...     rounds.run([lambda: store.reduce(len, int.__add__), lambda: tk.latency(store)])
    ...     rounds.count, store.reduce(len, int.__add__)
    (1, 5)
    """

    count: int = 0
    _known: dict[bytes, Any] = field(default_factory=dict)
    _asked: dict[bytes, _Asked] | None = None

    def of(self, store: TraceStore) -> TraceStore:
        """Return a store whose states are computed here."""
        return store.only(range(store.part_count), reader=self)

    def run(self, analyses: Sequence[Callable[[], Any]]) -> None:
        """Compute the states that some analyses need, so that they find them known.

        Parameters
        ----------
        analyses
            Functions that use stores of these rounds; they are called several times, and their answers are not kept.
        """
        left = list(analyses)
        for _ in range(_MOST):
            self._asked = {}
            try:
                left = [one for one in left if not _is_done(one)]
                asked = self._asked
            finally:
                self._asked = None
            if not asked:
                return
            self._read(asked)

    def _read(self, asked: dict[bytes, _Asked]) -> None:
        """Compute the states that were asked for: one pass over each choice of parts."""
        passes: dict[tuple[bytes, Any], list[bytes]] = {}
        for key, one in asked.items():
            place = one.on if isinstance(one.on, int | str | None) else id(one.on)  # a client cannot be pickled
            passes.setdefault((pickle.dumps(one.tasks), place), []).append(key)
        for keys in passes.values():
            some = [asked[key] for key in keys]
            partial, merge = _All(tuple(one.partial for one in some)), _Each(tuple(one.merge for one in some))
            found = over_tasks(some[0].tasks, partial, merge, some[0].on)
            self._known.update(zip(keys, found, strict=True))
            self.count += 1

    def __call__(
        self,
        tasks: Sequence[PartTask],
        partial: Callable[[TraceSet], Any],
        merge: Callable[[Any, Any], Any],
        on: On = None,
    ) -> Any:
        """Return the merged state of all tasks; see ``execution.over_tasks``."""
        try:
            key = pickle.dumps(([(str(task.path), task.number, task.steps) for task in tasks], partial, merge))
        except (pickle.PicklingError, AttributeError, TypeError):  # a function of a notebook, or a client
            return over_tasks(tasks, partial, merge, on)
        if key in self._known:
            return self._known[key]
        if self._asked is not None:
            self._asked[key] = _Asked(tasks, partial, merge, on)
            raise _Unknown
        self._known[key] = over_tasks(tasks, partial, merge, on)
        self.count += 1
        return self._known[key]


def _state(partial: Callable[[TraceSet], Any], traces: TraceSet, prepared: dict[Any, Any]) -> Any:
    """Return a state of a part; ``prepared`` keeps what several states are worked out from."""
    if not isinstance(partial, Prepared):
        return partial(traces)
    if partial.prepare not in prepared:
        prepared[partial.prepare] = partial.prepare(traces)
    return partial.state(prepared[partial.prepare])


def _is_done(analysis: Callable[[], Any]) -> bool:
    """Return whether an analysis finds all its states."""
    try:
        analysis()
    except _Unknown:
        return False
    return True
