"""One part of a store as a task: what any process needs in order to read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from tracekit.expressions import is_xray
from tracekit.expressions.limits import limits
from tracekit.loading.store.reach import Reach
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

_MOST: Final = 350_000  # spans of a piece, about: the analyses of a report need 1 kB for each


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
    piece
        Which of its pieces; None for the whole part.
    """

    path: Place
    number: int
    mark: PartMark
    frames: Mapping[str, FileMark]
    steps: tuple[Step, ...]
    keys: tuple[str, ...]
    piece: int | None = None

    @property
    def piece_count(self) -> int:
        """Number of pieces of the part."""
        return max(1, -(-self.mark.span_count // _MOST))

    @property
    def pieces(self) -> list[PartTask]:
        """The part in pieces that are read one after the other, so that a large one needs no more memory than others.

        Each has whole traces, those of a period.  A part of which calls limit what is read is one piece.
        """
        count = 1 if self.bounds else self.piece_count
        return [self] if count == 1 else [self._replace(piece=number) for number in range(count)]

    @property
    def span_count(self) -> int:
        """Number of spans of the part, of a piece about."""
        return self._share(self.mark.span_count)

    @property
    def byte_count(self) -> int:
        """Length of the files of the part, of a piece its share."""
        return self._share(sum(file.bytes for file in self.mark.files.values()))

    def _share(self, total: int) -> int:
        """Return the share of the piece in a total; those of all pieces are the total."""
        count = self.piece_count
        return total if self.piece is None else total * (self.piece + 1) // count - total * self.piece // count

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
        """Return the part or the piece; its columns are read on first use."""
        if self.piece is None:
            return self.applied(self.opened(Reach(self.bounds)))
        return self.applied(self.opened(Reach(piece=self.piece, pieces=self.piece_count, only_used=True)))

    def opened(self, reach: Reach) -> TraceSet:
        """Return the part, or what a reach allows of it, without the calls."""
        return load_part(self.path, self.mark, self.number, self.frames, self.keys, reach)

    def applied(self, found: TraceSet) -> TraceSet:
        """Return traces of the part after the calls."""
        return applied(found, self.steps)
