"""Detection of containers, encodings, and content that is not trace data, by the first bytes.

``container_of`` returns the container to unpack, ``table_of`` the kind of a table, ``encoding_of`` the encoding of
text, ``refusal`` the reason why content that is not JSON cannot be read.  File names are only compared with the
content (``mislabelled``).
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from tracekit.loading.protobuf.recognise import is_protobuf

HEAD = 4096

_STREAMS = {
    b"\x1f\x8b\x08": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
}
_SKIPPABLE_FRAME = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")  # zstd's, allowed in front of the first frame
_FRAME_LIMIT = 1 << 27  # a length prefix below it cannot be text
_SHORT_FRAME = 1 << 24
_EXTENSIONS = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd", ".bz2": "bz2", ".xz": "xz", ".zip": "zip"} | {
    ".parquet": "parquet", ".arrow": "arrow", ".feather": "arrow"
}  # fmt: skip
_TABLES = {b"PAR1": "parquet", b"ARROW1\0\0": "arrow", b"\xff\xff\xff\xff": "arrow-stream"}
_ENCODINGS = (  # the longer mark first: the mark of UTF-16 begins the mark of UTF-32
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
    (b"\xef\xbb\xbf", "utf-8"),
)
_BARE_UTF16 = {"utf-16-le": re.compile(rb"(?:[\s{\[\"]\0){2}"), "utf-16-be": re.compile(rb"(?:\0[\s{\[\"]){2}")}
_NAMED = {
    b"PK\x03\x04": ("a zip archive inside another, or from a pipe", "unpack it, or save it to a file, first"),
    b"PK\x05\x06": ("an empty zip archive", "check how the archive was made"),
    b"SQLite format 3\0": ("an SQLite database", "export the traces from it as JSON"),
    b"Obj\x01": ("an Avro file", "export the traces as OTLP JSON"),
    b"\x04\x22\x4d\x18": ("LZ4", "unpack it first: lz4 -d FILE"),
    b"\xff\x06\x00\x00sNaPpY": ("framed Snappy", "unpack it first"),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "unpack it first"),
    b"Rar!": ("a RAR archive", "unpack it first"),
    b"%PDF": ("a PDF document", "export the traces as JSON"),
    b"\x89PNG": ("a PNG picture", "export the traces as JSON"),
    b"\x7fELF": ("a program", "pass a file of traces"),
}
_TAR = (257, b"ustar")
_MARKUP = re.compile(rb"<[A-Za-z!?/]")
_TITLE = re.compile(rb"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\0\x1b\x1e"))
_BINARY_SHARE = 20  # one control character in so many
QUOTED = 80


def container_of(head: bytes, size: int | None = None) -> str:
    r"""Name the container that bytes begin."""
    for magic, name in _STREAMS.items():
        if head and head.startswith(magic[: len(head)]):
            return name
    if _SKIPPABLE_FRAME.match(head):
        return "zstd"
    length = int.from_bytes(head[:4], "big")
    is_cut = size is not None and length > size - 4  # in its first message: then only a short one is believed
    if not 0 < length < (_SHORT_FRAME if is_cut else _FRAME_LIMIT):
        return ""
    payload = head[4:]
    if payload.startswith(b"\x28\xb5\x2f\xfd"):
        return "framed-zstd"
    return "framed" if payload.startswith((b"{", b"[", b"\x0a")) and 0 in head[:4] else ""


def table_of(head: bytes) -> str:
    """Name the kind of table that bytes begin, "" if they do not."""
    return next((name for magic, name in _TABLES.items() if head.startswith(magic)), "")


def encoding_of(head: bytes) -> tuple[str, int]:
    """Name the encoding of text, and the length of its byte order mark."""
    for mark, name in _ENCODINGS:
        if head.startswith(mark):
            return name, len(mark)
    bare = next((name for name, pattern in _BARE_UTF16.items() if pattern.match(head)), "utf-8")
    return bare, 0


def refusal(head: bytes) -> tuple[str, str] | None:
    """Say why content that is no JSON cannot be read."""
    for magic, (name, hint) in _NAMED.items():
        if head.startswith(magic):
            return "FORMAT_UNKNOWN", f"expected JSON, found {name}; {hint}"
    if head[_TAR[0] :].startswith(_TAR[1]):
        return "FORMAT_UNKNOWN", "expected JSON, found a tar archive; unpack it and pass the folder"
    text = head.lstrip(b" \t\r\n\0")
    if _MARKUP.match(text):
        title = _TITLE.search(text)
        quoted = " ".join((title[1] if title else text).decode("utf-8", "replace").split())[:QUOTED]
        hint = "log in again or bypass the proxy, and export again"
        return "FILE_HTML", f"expected JSON, found a web page: {quoted!r}; {hint}"
    control = len(head) - len(head.translate(None, _CONTROL))
    if text.startswith((b"{", b"[", b'"')) or control * _BINARY_SHARE < len(head):
        return None
    if is_protobuf(head):
        hint = "configure the collector's file exporter with format: json"
        return "FORMAT_UNKNOWN", f"expected OTLP JSON, found OTLP protobuf, of which only traces are read; {hint}"
    return "FORMAT_UNKNOWN", f"expected JSON, found binary data ({head[:8].hex(' ')} ...); export the traces as JSON"


def mislabelled(uri: str, found: str) -> str:
    """Say that the extension of a name and the content disagree; "" where they agree or there is no extension."""
    extension = PurePosixPath(uri).suffix.lower()
    named = _EXTENSIONS.get(extension, "plain text")
    found = found or "plain text"
    return (
        ""
        if not extension or named in found
        else f"expected {named} from the extension, found {found}; read as {found}"
    )
