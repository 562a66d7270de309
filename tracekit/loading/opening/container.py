"""From a source to decoded bytes: gzip, zstd, bz2, xz, framed messages, UTF-16, by content and with caps.

``open_bytes(source)`` -> ``ByteStream``: ``read(n)``, ``peek(n)``, ``compression``, ``raw_position``,
``offset``, ``line``, ``is_protobuf``, ``complete``, ``stop_reason``, ``notes``, ``close()``; a context manager.  What
cannot be read at all (empty, blank, a web page, another binary format) raises ``LoadError``; a later error ends the
stream, with ``complete`` False and a note.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Self

from tracekit.errors import LoadError
from tracekit.loading.opening.decoders import Journal, Peekable, Stored, Transcoded, Unpacked
from tracekit.loading.opening.framing import Framed
from tracekit.loading.opening.sniff import HEAD, container_of, encoding_of, mislabelled, refusal, table_of
from tracekit.loading.protobuf.recognise import is_protobuf
from tracekit.loading.records.notes import Note, nul_note

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from tracekit.loading.opening.decoders import Layer
    from tracekit.loading.opening.source import Source

__all__ = ["MAX_BYTES", "MAX_RATIO", "ByteStream", "Note", "open_bytes"]

MAX_BYTES = 64 << 30
MAX_RATIO = 1000.0

_RATIO_FREE = 16 << 20  # below this much content the ratio is not judged: small files of zeros are legal
_MAX_LAYERS = 4
_MOST_PIECES = 2 << 10  # of at most 1 MB, of a table that is not a file
_BLANK = b" \t\r\n\0"
_BLANK_PIECE = 1 << 16


def open_bytes(
    source: Source,
    *,
    max_bytes: int = MAX_BYTES,
    max_ratio: float = MAX_RATIO,
    protobuf: bool = False,
    is_text: bool = True,
) -> ByteStream:
    """Open a source and unpack it, regardless of its name.

    OTLP protobuf is refused unless it can be read; content that need not be text is not decoded or refused.
    """
    journal = Journal()
    stored = Stored(source.open(), journal)
    try:
        layer, names = _unpack(source, stored, journal)
        layer, mark = _decode(layer, journal) if is_text else (layer, 0)
        stream = ByteStream(source, stored, layer, names, journal, max_bytes=max_bytes, max_ratio=max_ratio)
        stream.offset = mark
        if not is_text:
            return stream
        _pass_blank(stream)
        head = stream.peek(4 * HEAD)
        stream.is_protobuf = is_protobuf(head)
        if not (protobuf and stream.is_protobuf) and (found := refusal(head)):
            _refuse(source, *found)
    except BaseException:
        stored.close()
        raise
    return stream


class ByteStream:
    """Decoded bytes of one source.

    Parameters
    ----------
    source
        What is read.
    stored
        Its bytes as stored.
    layer
        Its bytes as decoded.
    names
        The containers around them, from the outside in.
    journal
        The notes of the layers.
    max_bytes, max_ratio
        The caps on what comes out of a container.

    Attributes
    ----------
    compression : str
        "none", or the containers: ``gzip``, ``framed-zstd``, ``zip+gzip``.
    offset : int
        Byte offset, in the decoded source, of what ``read`` returns next.
    line : int
        Line of the first byte, from 1; more than 1 behind very many blank lines.
    is_protobuf : bool
        Whether the content is OTLP protobuf, not text.
    """

    def __init__(
        self,
        source: Source,
        stored: Stored,
        layer: Peekable,
        names: list[str],
        journal: Journal,
        *,
        max_bytes: int = MAX_BYTES,
        max_ratio: float = MAX_RATIO,
    ) -> None:
        self.source = source
        self.compression = "+".join(names) or "none"
        self.offset = 0
        self.line = 1
        self.is_protobuf = False
        self._stored = stored
        self._layer = layer
        self._journal = journal
        self._max_bytes = max_bytes
        self._max_ratio = max_ratio

    @property
    def notes(self) -> list[Note]:
        """Notes so far."""
        return self._journal.notes

    @property
    def complete(self) -> bool:
        """Whether nothing has stopped reading early; final only when ``read`` has returned no bytes."""
        return not self._journal.stop_reason

    @property
    def stop_reason(self) -> str:
        """Code and message of what stopped reading early, or ""."""
        return self._journal.stop_reason

    @property
    def raw_position(self) -> int:
        """Stored bytes read so far."""
        return self._stored.position

    def peek(self, size: int) -> bytes:
        """Return the next bytes without moving on: ``size`` of them, fewer only at the end."""
        return self._layer.peek(size)

    def read(self, size: int = 1 << 20, /) -> bytes:
        """Return the next ``size`` bytes, fewer only at the end.  Never raises because of the content."""
        pieces: list[bytes] = []
        missing = size
        while missing and not self._is_bomb() and (piece := self._layer.read(missing)):
            pieces.append(piece)
            missing -= len(piece)
            self.offset += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def readinto(self, view: memoryview, /) -> int:
        """Read on into memory that is there, as ``read`` does; return how many bytes, fewer only at the end."""
        filled = 0
        while filled < len(view) and not self._is_bomb() and (count := self._layer.readinto(view[filled:])):
            filled += count
            self.offset += count
        return filled

    def close(self) -> None:
        """Close the source."""
        self._stored.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _is_bomb(self) -> bool:
        """Return whether the container has more content than the limits allow."""
        if self.compression == "none":
            return False
        packed = self.source.packed_byte_count or self.raw_position
        if self.offset > self._max_bytes:
            cap = f"{self._max_bytes:,} bytes"
        elif self.offset > max(_RATIO_FREE, self._max_ratio * packed):
            cap = f"{self._max_ratio:,.0f} times the stored size"
        else:
            return False
        message = f"expected at most {cap} of content, found {self.offset:,} bytes from {packed:,}"
        hint = "the rest was not read; if the file is trusted, unpack it first"
        self._journal.stop("CONTAINER_BOMB", f"{message}; {hint}", self.offset)
        return True


def _unpack(source: Source, stored: Stored, journal: Journal) -> tuple[Peekable, list[str]]:
    """Add a layer for every container found in the content; return the last layer and the containers' names."""
    layer = Peekable(stored)
    names = ["zip"] if source.kind == "zip-member" else []
    size = source.byte_count
    while name := container_of(layer.peek(HEAD), size):
        if len(names) >= _MAX_LAYERS:
            packed = "+".join([*names, name])
            _refuse(
                source, "CONTAINER_BOMB", f"expected JSON, found nested containers ({packed}, ...); unpack it first"
            )
        names.append(name)
        size = None
        layer = Peekable(Framed(layer, journal) if name.startswith("framed") else Unpacked(layer, name, journal))
    if name := table_of(layer.peek(HEAD)):
        from_path = source.path if source.kind == "file" and not names else None
        layer = Peekable(_table(source, name, from_path, stored, layer, journal))
        names.append(name)
    found = "+".join(name for name in names if name != "zip")
    if source.kind in {"file", "zip-member"} and (message := mislabelled(source.uri, found)):
        journal.notes.append(Note("CONTAINER_MISLABELLED", "info", "accepted", message))
    return layer, names


def _table(source: Source, name: str, path: Path | None, stored: Stored, layer: Peekable, journal: Journal) -> Layer:
    """Return the layer that reads a table: of the file at a path, or all that is in a layer."""
    from tracekit.loading.tables.layout import Blocks  # noqa: PLC0415 - only for tables
    from tracekit.loading.tables.stored import TableError, open_table  # noqa: PLC0415 - importing pyarrow is slow

    def advance(share: float) -> None:
        """Note how much of the file is read."""
        if path is not None and source.byte_count is not None:
            stored.position = int(share * source.byte_count)

    content = _all(source, layer) if path is None else path
    try:
        layout, blocks = open_table(content, name, journal.stop, advance)
    except TableError as error:
        _refuse(source, error.code, str(error))
    message = f"a table as {layout.name} writes it; not stored in it: {layout.lost}"
    journal.notes.append(Note("TABLE_LAYOUT", "info", "accepted", message))
    return Blocks(blocks)


def _all(source: Source, layer: Layer) -> bytes:
    """Return the rest of a layer; refuse one that is too large for memory."""
    pieces: list[bytes] = []
    while piece := layer.read(1 << 20):
        pieces.append(piece)
        if len(pieces) > _MOST_PIECES:
            message = f"expected a packed table of at most {_MOST_PIECES >> 10} GB, found more; unpack it first"
            _refuse(source, "CONTAINER_BOMB", message)
    return b"".join(pieces)


def _decode(layer: Peekable, journal: Journal) -> tuple[Peekable, int]:
    """Add a layer for text that is not UTF-8 and skip a byte order mark; return the layer and its offset."""
    encoding, mark = encoding_of(layer.peek(HEAD))
    layer.read(mark)
    if encoding != "utf-8":
        message = f"expected UTF-8, found {encoding}; converted, byte offsets refer to the converted text"
        journal.notes.append(Note("ENC_UTF16", "info", "repaired", message, 0))
        return Peekable(Transcoded(layer, encoding, journal)), 0
    if mark:
        journal.notes.append(Note("ENC_BOM", "info", "repaired", "a byte order mark was skipped", 0))
    return layer, mark


def _pass_blank(stream: ByteStream) -> None:
    """Skip white space and NUL bytes at the start; raise LoadError if there is nothing else."""
    start, nuls, line = stream.offset, 0, 1
    while (piece := stream.peek(_BLANK_PIECE)) and not piece.strip(_BLANK):
        if not stream.read(len(piece)):
            break
        line += piece.count(b"\n")
        nuls += piece.count(b"\0")
    stream.line = line
    if not piece or not stream.complete:
        _refuse_nothing(stream, nuls)
    if nuls:
        stream.notes.append(nul_note(nuls, start))


def _refuse_nothing(stream: ByteStream, nuls: int) -> None:
    """Raise LoadError because there is no content, unless there was some before reading stopped."""
    if stream.peek(_BLANK_PIECE).strip(_BLANK):
        return
    if not stream.complete:
        code, _, message = stream.stop_reason.partition(": ")
        _refuse(stream.source, code, message)
    inside = "" if stream.compression == "none" else f" in the {stream.compression}"
    if not stream.offset:
        _refuse(stream.source, "FILE_EMPTY", f"expected trace data, found 0 bytes{inside}; check the exporter")
    found = f"{stream.offset:,} bytes of white space{inside}" + f", {nuls:,} of them NUL" * bool(nuls)
    _refuse(stream.source, "FILE_BLANK", f"expected trace data, found {found}; check the exporter")


def _refuse(source: Source, code: str, message: str) -> NoReturn:
    """Raise LoadError for a source that cannot be read at all."""
    raise LoadError(f"{code} {source.uri}: {message}", source=source.uri, code=code)
