"""Several analyses of a store together: each round reads every part once, for all of them, chosen traces included.

An analysis asks for states of the parts, one pass after the other.  Instead of a pass of its own, each one gets as far
as its first unknown state; a round computes the states that all of them asked for, and they are started again with
these known.  Small parts are read several at once.  The results are those of separate passes.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracekit.loading.memory import Freed
from tracekit.loading.store.execution import apart, over_tasks
from tracekit.loading.store.part_group import grouped
from tracekit.loading.store.steps import WEIGHED, applied
from tracekit.parts import OfEachPart, Prepared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tracekit.loading.store.execution import Group
    from tracekit.loading.store.part_task import PartTask
    from tracekit.loading.store.steps import Step
    from tracekit.loading.store.trace_store import TraceStore
    from tracekit.parts import On
    from tracekit.traces import TraceSet

_MOST: Final = 16  # rounds; an analysis that needs more states than that reads the rest by itself


class _Unknown(Exception):  # noqa: N818 - no error: it ends an attempt
    """A state is needed that has not been computed."""


class _Asked(NamedTuple):
    """A state that an analysis asked for."""

    tasks: Sequence[PartTask]
    partial: Callable[[TraceSet], Any]
    merge: Callable[[Any, Any], Any]
    on: On
    steps: tuple[Step, ...] = ()

    @property
    def group(self) -> Group:
        """How parts are read: small ones together, unless a state of each is needed, or a callable sees its spans."""
        steps = (*self.tasks[0].steps, *self.steps)
        is_seen = any(one.method == "where" and not isinstance(one.arguments[0], str) for one in steps)
        return apart if is_seen or isinstance(self.partial, OfEachPart) else grouped

    @property
    def shared(self) -> _Asked:
        """The same with the calls of the tasks applied after a part is read; before, if they limit what is read.

        Before, too, if they differ between the parts.
        """
        if any(task.bounds for task in self.tasks) or any(one.method == WEIGHED for one in self.tasks[0].steps):
            return self
        return self._replace(tasks=[task._replace(steps=()) for task in self.tasks], steps=self.tasks[0].steps)


@dataclass(frozen=True)
class _All:
    """Returns the states of a part for several analyses.

    ``groups``: calls that are applied to the part, and what is worked out of the traces that remain.
    """

    groups: tuple[tuple[tuple[Step, ...], tuple[Callable[[TraceSet], Any], ...]], ...]

    def __call__(self, traces: TraceSet) -> tuple[Any, ...]:
        """Return the states of some traces, one group after the other, so that chosen traces need not be kept."""
        return tuple(state for steps, partials in self.groups for state in _states(partials, applied(traces, steps)))


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

    It keeps every state, whose size does not depend on the number of spans but for what the analyses say of theirs;
    of those that are ``Prepared``, the asker keeps the result instead.

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
        left, freed = list(analyses), Freed()
        for _ in range(_MOST):
            self._asked = {}
            try:
                left = [one for one in left if not _is_done(one, freed)]
                asked = self._asked
            finally:
                self._asked = None
            if not asked:
                return
            self._read(asked)

    def _read(self, asked: dict[bytes, _Asked]) -> None:
        """Compute the states that were asked for: one pass over each choice of parts."""
        passes: dict[Any, tuple[_Asked, dict[bytes, list[bytes]]]] = {}
        for key, one in asked.items():
            place = one.on if isinstance(one.on, int | str | None) else id(one.on)  # a client cannot be pickled
            shared = one.shared
            _, groups = passes.setdefault((_pickled(shared.tasks), place, shared.group), (shared, {}))
            groups.setdefault(pickle.dumps(shared.steps), []).append(key)
        for shared, groups in passes.values():
            some = [[asked[key] for key in keys] for keys in groups.values()]
            partial = _All(tuple((of[0].shared.steps, tuple(one.partial for one in of)) for of in some))
            merge = _Each(tuple(one.merge for of in some for one in of))
            found = over_tasks(shared.tasks, partial, merge, shared.on, shared.group)
            self._known.update(zip([key for keys in groups.values() for key in keys], found, strict=True))
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
            key = pickle.dumps((_pickled(tasks), partial, merge))
        except (pickle.PicklingError, AttributeError, TypeError):  # a function of a notebook, or a client
            return over_tasks(tasks, partial, merge, on)
        if key in self._known:
            return self._known.pop(key) if isinstance(partial, Prepared) else self._known[key]
        if self._asked is not None:
            self._asked[key] = _Asked(tasks, partial, merge, on)
            raise _Unknown
        self._known[key] = over_tasks(tasks, partial, merge, on)
        self.count += 1
        return self._known[key]


def _pickled(tasks: Sequence[PartTask]) -> bytes:
    """Return what distinguishes the parts of some traces from those of others."""
    return pickle.dumps([(str(task.path), task.number, [one.key for one in task.steps]) for task in tasks])


def _states(partials: Sequence[Callable[[TraceSet], Any]], traces: TraceSet) -> Iterator[Any]:
    """Yield states of some traces; what several are worked out from is prepared once."""
    prepared: dict[Any, Any] = {}
    for partial in partials:
        if not isinstance(partial, Prepared):
            yield partial(traces)
            continue
        if partial.prepare not in prepared:
            prepared[partial.prepare] = partial.prepare(traces)
        yield partial.state(prepared[partial.prepare])


def _is_done(analysis: Callable[[], Any], freed: Freed) -> bool:
    """Return whether an analysis finds all its states; what it leaves behind is returned to the system."""
    try:
        analysis()
    except _Unknown:
        return False
    finally:
        freed.return_if_much()
    return True
