"""What is read of the files of a part: all of them, the row groups of some of its spans, or some of its traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.loading.store.order import Bounds


class Reach(NamedTuple):
    """What is read of the files of a part.

    Parameters
    ----------
    bounds
        Only row groups that may have a span with these values; traces are whole in their row group.
    traces
        Only the spans of the traces at these positions, of whose row groups alone columns are read.
    by_range
        Of each file only what is used, and not at first all of them.
    piece, pieces
        Only one of so many pieces of the part, each a run of row groups of spans; the bounds are of whole parts.
    only_used
        Of the distinct attributes only those of the spans that are read, numbered anew.
    """

    bounds: Bounds = ()
    traces: Sequence[int] | None = None
    by_range: bool = False
    piece: int = 0
    pieces: int = 1
    only_used: bool = False


WHOLE: Final = Reach()
