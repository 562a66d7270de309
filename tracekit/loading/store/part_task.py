"""One part of a store as a task: what any process needs in order to read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tracekit.expressions import is_xray
from tracekit.expressions.limits import limits
from tracekit.loading.store.part import Reach
from tracekit.loading.store.read_write import load_part
from tracekit.loading.store.steps import applied

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tracekit.loading.store.order import Bounds
    from tracekit.loading.store.read_write import PartMark
    from tracekit.loading.store.remote import Place
    from tracekit.loading.store.steps import Step
    from tracekit.loading.store.tables import FileMark
    from tracekit.parts import On
    from tracekit.traces import TraceSet

Reader: TypeAlias = "Callable[[Sequence[PartTask], Callable[[TraceSet], Any], Callable[[Any, Any], Any], On], Any]"


class PartTask(NamedTuple):
    """One part with the calls that are applied to it: what another process needs in order to read it.

    Parameters
    ----------
    path
        The store.
    number, mark
        The part, and its content.
    frames
        Content of the files that all parts share.
    steps
        Calls applied to it.
    keys
        Attribute keys of all parts.
    """

    path: Place
    number: int
    mark: PartMark
    frames: Mapping[str, FileMark]
    steps: tuple[Step, ...]
    keys: tuple[str, ...]

    @property
    def span_count(self) -> int:
        """Number of spans of the part."""
        return self.mark.span_count

    @property
    def byte_count(self) -> int:
        """Length of the files of the part."""
        return sum(file.bytes for file in self.mark.files.values())

    @property
    def bounds(self) -> Bounds:
        """Limits that the calls set on times of spans of the traces: other row groups are not read."""
        found: list[tuple[str, int, int]] = []
        for method, arguments in self.steps:
            if method == "between":
                low, high = arguments
                found.append(("start_ns", low, high - 1))
            elif method == "where" and not isinstance(arguments[0], str):
                break  # a callable may compare a span with others
            elif method == "where" and not is_xray(arguments[0]):
                found += limits(arguments[0])
        return tuple(found)

    def read(self) -> TraceSet:
        """Return the part; its columns are read on first use."""
        return self.applied(self.opened(Reach(self.bounds)))

    def opened(self, reach: Reach) -> TraceSet:
        """Return the part, or what a reach allows of it, without the calls."""
        return load_part(self.path, self.mark, self.number, self.frames, self.keys, reach)

    def applied(self, found: TraceSet) -> TraceSet:
        """Return traces of the part after the calls."""
        return applied(found, self.steps)
