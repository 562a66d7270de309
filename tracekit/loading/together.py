"""Many small files, read together: opening, recognising and scanning them one by one costs more than their spans.

A file is read so if it holds one line that the scanner of a format takes whole.  Every other file is read alone, in its
turn, so that the result is the same.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from tracekit.loading.records import Line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from tracekit.loading.loader import FileScanner
    from tracekit.loading.opening.source import Source

SMALL = 1 << 20  # bytes of a file
AT_ONCE = 4 << 20  # bytes of all files in a block
_SUFFIX = ".json"  # another one may name a container, which is compared with the content
_TAR = (257, b"ustar")  # what ``opening.sniff`` takes for an archive


class _Block(NamedTuple):
    """Adjacent files, their content (None for those that are read alone), and what the scanner made of it."""

    sources: list[Source]
    content: list[bytes | None]
    ahead: object


def read_together(sources: Sequence[Source], scanner: FileScanner, threads: int) -> Iterator[tuple[int, Source | None]]:
    """Load small files and yield how many bytes they had; yield every other source when it is to be read, with 0."""
    waiting: deque[Future[_Block]] = deque()
    with ThreadPoolExecutor(threads, "tracekit-files") as pool:
        for some in _blocks(sources):
            waiting.append(pool.submit(_prepared, some, scanner))
            if len(waiting) > threads:
                yield from _loaded(waiting.popleft().result(), scanner)
        while waiting:
            yield from _loaded(waiting.popleft().result(), scanner)


def _blocks(sources: Sequence[Source]) -> Iterator[list[Source]]:
    """Yield adjacent sources, small ones together."""
    block: list[Source] = []
    size = 0
    for source in sources:
        block.append(source)
        size += min(source.byte_count or 0, SMALL)
        if size > AT_ONCE:
            yield block
            block, size = [], 0
    if block:
        yield block


def _prepared(sources: list[Source], scanner: FileScanner) -> _Block:
    """Read the small files of a block, and scan them."""
    content = [_line(source) for source in sources]
    return _Block(sources, content, scanner.scan_ahead([data for data in content if data is not None]))


def _line(source: Source) -> bytes | None:
    """Return the content of a small file with one line that begins an object, None for any other source."""
    size = source.byte_count
    if source.kind != "file" or source.path is None or not size or size > SMALL or not source.uri.endswith(_SUFFIX):
        return None
    try:
        with FileIO(source.path) as file:
            data = file.read(size + 1)
    except OSError:  # reading it alone says why
        return None
    newline = data.find(b"\n")
    is_one_line = newline < 0 or not data[newline:].strip()
    is_plain = len(data) == size and data.startswith(b"{") and not data.startswith(_TAR[1], _TAR[0])
    return data if is_one_line and is_plain else None


def _loaded(block: _Block, scanner: FileScanner) -> Iterator[tuple[int, Source | None]]:
    """Load the files of a block and yield their bytes; yield those that are read alone in their turn."""
    small = [at for at, data in enumerate(block.content) if data is not None]
    lines = [Line(1, 0, data) for data in block.content if data is not None]
    taken = scanner.taken(lines, block.ahead)
    is_taken = dict(zip(small, taken, strict=True))
    if len(small) == len(block.sources) and all(taken):
        scanner.load_files(block.sources, lines, block.ahead)
        yield sum(len(line.data) for line in lines), None
        return
    line_of = dict(zip(small, lines, strict=True))
    for together, run in groupby(range(len(block.sources)), lambda at: is_taken.get(at, False)):
        if together:
            some = list(run)
            own = [line_of[at] for at in some]
            scanner.load_files([block.sources[at] for at in some], own, None)
            yield sum(len(line.data) for line in own), None
        else:
            yield from ((0, block.sources[at]) for at in run)
