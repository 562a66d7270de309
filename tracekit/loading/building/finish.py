"""What is left to do when all spans are read, by the extension where it was built, by numpy elsewhere."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tracekit.columns import arranged, in_turn
from tracekit.loading import native
from tracekit.ragged import Ragged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from tracekit.columns import Array, Columns, SpanColumns, Work
    from tracekit.parents import LookUp

_WORTH = 100_000  # spans: a thread for fewer takes longer than it saves
_IDS = (np.uint64, np.uint64)


def order(spans: SpanColumns) -> Array:
    """Return the rows by (trace id, start, record); of one record in order of arrival."""
    earlier = (np.diff(spans.record_number) < 0) & (np.diff(spans.source) == 0)
    places = [spans.source, spans.record_number] if earlier.any() else []  # irregular lines of a chunk arrive last
    extension = native.compiled()
    if extension is None:
        return np.lexsort([*reversed(places), spans.start_ns, spans.trace_lo, spans.trace_hi])
    made = np.empty(len(spans), np.int64)
    keys = _plain((*_IDS, np.int64), (spans.trace_hi, spans.trace_lo, spans.start_ns))
    extension.order(*keys, *(_plain((np.int32, np.int64), places) if places else (b"", b"")), made)
    return made


def _plain(kinds: Sequence[Any], columns: Sequence[Array]) -> list[Array]:
    """Return columns of these types as the extension reads them."""
    return [np.ascontiguousarray(column, kind) for column, kind in zip(columns, kinds, strict=True)]


def in_order(columns: list[Columns], rows: Array, threads: int) -> Columns:
    """Return columns, which are taken out of the list, with all spans in this order, as ``columns.arranged``."""
    run = in_threads(threads, len(rows))
    return arranged(columns, rows, run=run) if native.compiled() is None else arranged(columns, rows, _lists, run)


def in_threads(threads: int, span_count: int) -> Callable[[list[Work]], list[Any]]:
    """Return what does some work, as ``columns.in_turn``, where it is worth it in threads."""
    return partial(_in_threads, threads) if threads > 1 and span_count >= _WORTH else in_turn


def _in_threads(threads: int, tasks: list[Work]) -> list[Any]:
    """Do work in threads: room is made in this one, where memory that was released before is used again."""
    tasks.reverse()
    futures: list[Future[Any]] = []
    with ThreadPoolExecutor(threads, "tracekit-finish") as pool:
        while tasks:
            if len(futures) >= threads:
                wait(futures[-threads:], return_when=FIRST_COMPLETED)
            futures.append(pool.submit(tasks.pop()()))
        return [future.result() for future in futures]


def _lists(table: Ragged, rows: Array) -> Callable[[], Ragged]:
    """Return what takes all rows of a table in another order, as ``Ragged.take``."""
    made = Ragged(np.empty(len(rows) + 1, np.int64), np.empty(len(table.codes), np.int32))

    def fill() -> Ragged:
        given = _plain((np.int64, np.int32, np.int64), (table.offsets, table.codes, rows))
        native.compiled().copy_lists(*given, made.offsets, made.codes)
        return made

    return fill


def may_have_copies(spans: SpanColumns) -> bool:
    """Return whether any trace of these sorted spans has an id twice."""
    extension = native.compiled()
    ids = (spans.trace_hi, spans.trace_lo, spans.span_id)
    return extension is None or bool(extension.has_twice(*_plain((*_IDS, np.uint64), ids)))


def look_up() -> LookUp | None:
    """Return what looks up ids of parents, None without the extension."""
    extension = native.compiled()
    return None if extension is None else partial(_look_up, extension)


def _look_up(extension: Any, ids: Array, wanted: Array, trace: Array) -> tuple[Array, Array]:
    """Return the first row of the trace of every row with the wanted id, and whether there are several."""
    found, several = np.empty(len(ids), np.int64), np.empty(len(ids), np.bool_)
    extension.look_up(*_plain((*_IDS, np.int32), (ids, wanted, trace)), found, several)
    return found, several
