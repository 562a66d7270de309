"""Chunks of lines in the order of the file, the next ones being scanned by other threads meanwhile."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from tracekit.loading.records import LineChunk, Lines, line_chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tracekit.loading.opening.container import ByteStream
    from tracekit.loading.protobuf.messages import Aside
    from tracekit.loading.records import LongLine


class Ready(NamedTuple):
    """A chunk, its lines (None for what is read alone), and how many notes the stream had when it was read."""

    chunk: LineChunk | LongLine | Aside
    lines: Lines | None
    note_count: int


def chunks(
    stream: ByteStream,
    work: Callable[[Any], Any] | None,
    threads: int,
    split: Callable[[ByteStream], Iterator[LineChunk | LongLine | Aside]] | None = None,
    of: type[Lines] = Lines,
) -> Iterator[Ready]:
    """Yield the chunks of a stream, by default lines; ``lines.ahead`` is the future of ``work`` where it was begun."""
    waiting: deque[Ready] = deque()
    begin = _Begin(work, threads)
    try:
        for chunk in split(stream) if split else line_chunks(stream, views=work is not None):
            if not isinstance(chunk, LineChunk):
                yield from _emptied(waiting)
                yield Ready(chunk, None, len(stream.notes))
                continue
            lines = of(chunk.data, chunk.first_line, chunk.first_offset)
            if waiting and waiting[-1].lines is not None:
                waiting[-1].lines.following = lines
            waiting.append(Ready(chunk, lines, len(stream.notes)))
            if not (chunk.final and len(waiting) == 1):  # nothing to do meanwhile
                begin(lines)
            del chunk, lines  # so that its memory can be used again
            while len(waiting) > begin.most:
                yield waiting.popleft()
        yield from _emptied(waiting)
    finally:
        begin.end()


def _emptied(waiting: deque[Ready]) -> Iterator[Ready]:
    """Yield what waits, in its order."""
    while waiting:
        yield waiting.popleft()


class _Begin:
    """Begins the work on chunks, in threads that are started when they are needed.

    Attributes
    ----------
    most : int
        How many chunks may wait.
    """

    def __init__(self, work: Callable[[Any], Any] | None, threads: int) -> None:
        self._work = work
        self._pool: ThreadPoolExecutor | None = None
        self.most = threads if work is not None and threads > 1 else 0

    def __call__(self, lines: Lines) -> None:
        if self._work is not None and self.most:
            self._pool = self._pool or ThreadPoolExecutor(self.most, "tracekit-scan")
            lines.submit = self._pool.submit
            lines.ahead = lines.submit(self._work, lines.data)

    def end(self) -> None:
        """Let the threads end."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
