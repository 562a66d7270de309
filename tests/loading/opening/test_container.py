"""Containers and encodings: by content, to the last byte, never a silent short read."""

import bz2
import gzip
import io
import json
import lzma
import random
import struct
import tracemalloc
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from otlp_made import counts, request, span

from tracekit.errors import LoadError
from tracekit.loading import read
from tracekit.loading.opening.container import ByteStream, open_bytes
from tracekit.loading.opening.decoders import zstd
from tracekit.loading.opening.source import Source, from_bytes, from_file, from_stream
from tracekit.loading.opening.sources import expand

LINES = b"".join(b'{"resourceSpans": [%d]}\n' % i for i in range(300))
SKIPPABLE = b"\x50\x2a\x4d\x18\x05\x00\x00\x00hello"


def read_all(stream, size=1 << 16):
    pieces = []
    while piece := stream.read(size):
        pieces.append(piece)
    return b"".join(pieces)


def load(data, **caps):
    with open_bytes(from_bytes(data), **caps) as stream:
        return read_all(stream), stream


def refused(data):
    """The code a source is refused with, or "" and what it gives."""
    try:
        return "", *load(data)
    except LoadError as error:
        return error.code, b"", None


def framed(*payloads):
    return b"".join(struct.pack(">I", len(payload)) + payload for payload in payloads)


def codes(stream):
    return [note.code for note in stream.notes]


def containers(lines):
    """The same lines in every container."""
    half = len(lines) // 2
    messages = lines.split(b"\n")[:-1]
    return {
        "gzip": gzip.compress(lines),
        "gzip of several members": gzip.compress(lines[:half]) + gzip.compress(b"") + gzip.compress(lines[half:]),
        "gzip with padding": gzip.compress(lines) + bytes(512),
        "zstd": zstd.compress(lines),
        "zstd of several frames": zstd.compress(lines[:half]) + SKIPPABLE + zstd.compress(lines[half:]),
        "zstd behind a skippable frame": SKIPPABLE + zstd.compress(lines),
        "bz2": bz2.compress(lines),
        "bz2 of several streams": bz2.compress(lines[:half]) + bz2.compress(lines[half:]),
        "xz": lzma.compress(lines),
        "xz of several streams": lzma.compress(lines[:half]) + bytes(4) + lzma.compress(lines[half:]),
        "framed-zstd": framed(*map(zstd.compress, messages)),
        "framed": framed(*messages),
        "gzip+gzip": gzip.compress(gzip.compress(lines)),
        "zstd+framed": zstd.compress(framed(*messages)),
        "none": lines,
    }


CONTAINERS = containers(LINES)
FEW_LINES = LINES[: LINES.index(b"\n", 500) + 1]


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 20])
def test_every_container_gives_every_byte(name, size):
    with open_bytes(from_bytes(CONTAINERS[name])) as stream:
        assert read_all(stream, size) == LINES
    assert stream.compression == name.split(" ")[0]
    assert stream.complete
    assert stream.stop_reason == ""
    assert stream.notes == []
    assert stream.raw_position == len(CONTAINERS[name])
    assert stream.offset == len(LINES)


def test_read_returns_the_requested_size_and_peek_moves_nothing():
    with open_bytes(from_bytes(CONTAINERS["zstd of several frames"])) as stream:
        assert stream.peek(100) == LINES[:100]
        assert stream.offset == 0
        assert len(stream.read(5000)) == 5000
        assert stream.offset == 5000
        assert stream.peek(10**6) == LINES[5000:]
        assert stream.read(10**6) == LINES[5000:]
        assert stream.peek(1) == b""


@pytest.mark.parametrize("name", ["gzip", "zstd", "bz2", "xz", "framed", "framed-zstd", "gzip+gzip"])
def test_a_cut_anywhere_is_always_reported(name):
    data = containers(FEW_LINES)[name]
    messages = FEW_LINES.split(b"\n")[:-1]
    payloads = [zstd.compress(message) for message in messages] if name == "framed-zstd" else messages
    whole = {len(framed(*payloads[:n])) for n in range(len(payloads))} if "framed" in name else set()
    for cut in range(1, len(data)):
        code, content, stream = refused(data[:cut])
        if code:
            expected = {"FORMAT_UNKNOWN", "FILE_BLANK"} if "framed" in name and cut < 8 else {"CONTAINER_TRUNCATED"}
            assert code in expected, cut
            continue
        assert FEW_LINES.startswith(content.removesuffix(b"\n")), cut
        if cut in whole:  # nothing shows that more should follow
            assert stream.complete
        else:
            assert not stream.complete, cut
            assert stream.stop_reason.startswith("CONTAINER_TRUNCATED: expected "), cut
            assert codes(stream) == ["CONTAINER_TRUNCATED"]


def test_what_came_before_the_cut_is_kept():
    rng = random.Random(7)
    noise = b"".join(b'{"id": "%032x"}\n' % rng.getrandbits(128) for _ in range(20_000))
    for data in (gzip.compress(noise), zstd.compress(noise), bz2.compress(noise, 1), lzma.compress(noise)):
        content, stream = load(data[: len(data) // 2])
        assert noise.startswith(content)
        assert len(content) > len(noise) / 3
        assert not stream.complete
        assert stream.notes[0].severity == "error"
        assert stream.notes[0].action == "aborted"


@pytest.mark.parametrize("name", ["gzip", "zstd", "bz2", "xz"])
def test_damage_in_the_middle_is_reported(name):
    rng = random.Random(3)
    noise = rng.randbytes(300_000).hex().encode()
    pack = {"gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}.get(name, _zstd_with_checksum)
    data = bytearray(pack(b'{"a": "' + noise + b'"}'))
    data[len(data) // 2] ^= 0xFF
    content, stream = load(bytes(data))
    assert not stream.complete
    assert stream.stop_reason.startswith(f"CONTAINER_DAMAGED: expected a complete {name} stream, found damage (")
    assert len(content) < len(noise) or name in {"gzip", "zstd"}  # these may find out by the checksum at the end


def _zstd_with_checksum(data):
    return zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1})


def test_wrong_gzip_checksum_is_reported():
    data = bytearray(gzip.compress(LINES))
    data[-6] ^= 1
    content, stream = load(bytes(data))
    assert LINES.startswith(content)
    assert stream.stop_reason.startswith("CONTAINER_DAMAGED")


def test_garbage_behind_a_container_is_reported():
    for pack in (gzip.compress, zstd.compress, bz2.compress, lzma.compress):
        content, stream = load(pack(LINES) + b"garbage behind it")
        assert content == LINES
        assert not stream.complete
        assert "found other data after it" in stream.stop_reason
        assert stream.notes[0].raw == b"garbage behind it"


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(CONTAINERS)), st.data())
def test_random_damage_never_raises_anything_but_a_load_error(name, data):
    content = bytearray(CONTAINERS[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(1, len(content)))]
    code, content, stream = refused(bytes(content))
    assert code or stream.complete == (stream.stop_reason == "")
    assert code or stream.offset - len(content) in {0, 2, 3, 4}  # less a byte order mark


# -------------------------------------------------------------------------------------------------- framed messages


def test_a_damaged_message_costs_only_itself():
    payloads = [zstd.compress(b'{"n": %d}' % n) for n in range(5)]
    payloads[2] = payloads[2][:-3]
    content, stream = load(framed(*payloads))
    lines = content.split(b"\n")
    assert [line for n, line in enumerate(lines) if n != 2] == [b'{"n": 0}', b'{"n": 1}', b'{"n": 3}', b'{"n": 4}', b""]
    assert stream.complete
    assert codes(stream) == ["CONTAINER_DAMAGED"]
    assert stream.notes[0].action == "aborted", "what came out of it is judged as the line it is"
    assert stream.notes[0].message.startswith("message 3: expected a complete zstd stream, found ")


def test_a_damaged_message_is_counted_once():
    """By the line that is cut; or, where nothing of it could be unpacked, by the container."""
    good = json.dumps(request(span())).encode()
    noise = zstd.compress(json.dumps({"x": random.Random(1).randbytes(300_000).hex()}).encode())  # several blocks
    for broken in (zstd.compress(good)[:-3], noise[: len(noise) // 2], noise[:9]):
        traces = read(framed(zstd.compress(good), broken))
        assert counts(traces)[3] == 1
        assert traces.issues.loc[traces.issues["action"] == "quarantined", "issue_count"].sum() == 1
        assert (traces.issues["code"] == "CONTAINER_DAMAGED").sum() == 1


def test_the_rest_of_a_damaged_message_is_passed_over():
    rng = random.Random(9)
    payload = bytearray(zstd.compress(b'["' + rng.randbytes(400_000).hex().encode() + b'"]'))
    payload[4] ^= 0x08  # a reserved bit of the frame's header
    content, stream = load(framed(b'{"n": 1}', bytes(payload), b'{"n": 2}'))
    assert content == b'{"n": 1}\n\n{"n": 2}\n'
    assert stream.notes[0].message.startswith("message 2: expected a complete zstd stream, found damage (")
    assert stream.complete


def test_messages_of_both_kinds_and_empty_ones():
    content, stream = load(framed(b"{}", zstd.compress(b"[1]"), b"", b"[2]"))
    assert content == b"{}\n[1]\n\n[2]\n"
    assert stream.complete


def test_the_cut_message_is_named():
    _, stream = load(framed(b'{"n": 1}', b'{"n": 2}')[:-3])
    assert stream.stop_reason.startswith("CONTAINER_TRUNCATED: expected 3 bytes more of message 2, found the end")
    _, stream = load(framed(b'{"n": 1}', b'{"n": 2}')[:14])
    assert "expected its length of message 2" in stream.stop_reason


def test_text_that_begins_with_white_space_is_not_framed():
    for blank in (b"\t\t\t\t", b"\n\n\n\n", b"    ", b"\0\0\0\0"):
        content, stream = load(blank + b'{"a": 1}')
        assert content == blank + b'{"a": 1}'
        assert stream.compression == "none"


# -------------------------------------------------------------------------------------------------- bombs


def _zeros(pack, size):
    block = bytes(1 << 20)
    blocks = [pack.compress(block) for _ in range(size >> 20)]
    return b"".join(blocks) + pack.flush()


def test_a_zstd_bomb_is_stopped_in_little_memory():
    bomb = _zeros(zstd.ZstdCompressor(1), 1 << 30)
    assert len(bomb) < 200_000
    tracemalloc.start()
    try:
        with open_bytes(from_bytes(zstd.compress(b"[1,") + bomb)) as stream:
            total = 0
            while piece := stream.read(1 << 20):
                total += len(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert codes(stream) == ["CONTAINER_BOMB"]
    assert not stream.complete
    assert total < 300 << 20
    assert peak < 20 << 20


def test_a_gzip_bomb_is_stopped():
    with pytest.raises(
        LoadError, match=r"CONTAINER_BOMB <bytes>: expected at most 1,000 times the stored size"
    ) as error:
        load(gzip.compress(bytes(200 << 20)))  # nothing but NUL: nothing to keep either
    assert error.value.code == "CONTAINER_BOMB"


def test_the_cap_on_the_size():
    data = gzip.compress(b'{"a": 1}\n' * 100_000)
    content, stream = load(data, max_bytes=200_000)
    assert 200_000 <= len(content) <= 2 << 20
    assert stream.stop_reason.startswith("CONTAINER_BOMB: expected at most 200,000 bytes of content, found ")
    content, stream = load(b'{"a": 1}\n' * 100_000, max_bytes=200_000)
    assert stream.complete, "plain files are not capped"
    content, stream = load(data)
    assert len(content) == 900_000


def test_repetitive_traces_and_small_files_of_zeros_are_no_bombs():
    rng = random.Random(5)
    span = b'{"traceId": "%032x", "name": "GET /", "attributes": [%s]},'
    attributes = b",".join(
        b'{"key": "http.route%d", "value": {"stringValue": "/api/items/{id}"}}' % n for n in range(40)
    )
    lines = b"".join(span % (rng.getrandbits(16), attributes) for _ in range(10_000))
    for pack in (zstd.compress, gzip.compress):
        content, stream = load(pack(lines))
        assert stream.complete
        assert len(content) > 25 << 20
    assert len(content) / stream.raw_position > 100
    content, stream = load(gzip.compress(b"[1]" + b" " * (10 << 20)))
    assert stream.complete
    assert len(content) == 3 + (10 << 20)


def test_the_ratio_can_be_raised():
    data = zstd.compress(b"[1]" + b" " * (64 << 20))
    assert not load(data)[1].complete
    assert load(data, max_ratio=1e9)[1].complete


def test_containers_within_containers_end():
    data = b"[1]"
    for _ in range(6):
        data = gzip.compress(data)
    with pytest.raises(LoadError, match=r"CONTAINER_BOMB .*found nested containers \(gzip\+gzip\+gzip\+gzip\+gzip"):
        load(data)


# -------------------------------------------------------------------------------------------------- encodings


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf16_is_converted(encoding):
    text = '{"name": "Grüße \U0001f600"}\n' * 1000
    content, stream = load(text.encode(encoding))
    assert content.decode() == text
    assert codes(stream) == ["ENC_UTF16"]
    assert stream.notes[0].severity == "info"


def test_utf16_big_endian_with_a_mark_and_in_gzip():
    content, stream = load(gzip.compress(b"\xfe\xff" + "[1]".encode("utf-16-be")))
    assert content == b"[1]"
    assert stream.compression == "gzip"


def test_utf16_cut_inside_a_character():
    content, stream = load('["a"]'.encode("utf-16")[:-1])
    assert content == b'["a"'
    assert stream.stop_reason.startswith("CONTAINER_TRUNCATED: expected utf-16-le text, found: truncated data")


def test_a_lone_surrogate_in_utf16_is_left_for_the_record_to_refuse():
    content, stream = load("\ufeff".encode("utf-16-le") + b'"\0\x00\xd8"\0')
    assert content == b'"\xed\xa0\x80"'
    with pytest.raises(UnicodeDecodeError):
        content.decode()
    assert stream.complete


def test_a_byte_order_mark_is_passed_over_and_counts_in_the_offset():
    content, stream = load(b"\xef\xbb\xbf[1]")
    assert content == b"[1]"
    assert codes(stream) == ["ENC_BOM"]
    with open_bytes(from_bytes(b"\xef\xbb\xbf[1]")) as stream:
        assert stream.offset == 3


# -------------------------------------------------------------------------------------------------- refused


REFUSED = {
    "FILE_EMPTY": [
        (b"", r"expected trace data, found 0 bytes; check the exporter"),
        (gzip.compress(b""), r"found 0 bytes in the gzip"),
        (zstd.compress(b""), r"found 0 bytes in the zstd"),
    ],
    "FILE_BLANK": [
        (b" \n\t\r\n", r"found 5 bytes of white space; check"),
        (b"\xef\xbb\xbf \n", r"bytes of white space"),
        (bytes(200_000), r"found 200,000 bytes of white space, 200,000 of them NUL"),
        (gzip.compress(b"\n" * 100_000), r"found 100,000 bytes of white space in the gzip"),
    ],
    "FILE_HTML": [
        (b"\n<!DOCTYPE html><html><head><title>Sign\n in</title>", r"found a web page: 'Sign in'; log in again"),
        (b"<html><body>" + b"502 Bad Gateway " * 50, r"found a web page: '<html><body>502 Bad Gateway"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code>', r"found a web page: '<\?xml version"),
        (gzip.compress(b"<html>"), r"found a web page"),
    ],
    "CONTAINER_DAMAGED": [
        (b"PAR1" + bytes(100), r"expected a whole parquet file, found: Parquet magic bytes not found"),
        (b"ARROW1\0\0" + bytes(100), r"expected a whole arrow file, found"),
    ],
    "FORMAT_UNKNOWN": [
        (b"SQLite format 3\0" + bytes(100), r"found an SQLite database"),
        (b"PK\x05\x06" + bytes(18), r"found an empty zip archive"),
        (gzip.compress(b"PK\x03\x04" + bytes(100)), r"found a zip archive inside another"),
        (b"a.json".ljust(257, b"\0") + b"ustar\x0000", r"found a tar archive; unpack it and pass the folder"),
        (b"\x7fELF" + bytes(range(100)), r"found a program"),
        (b"\x01\x02\x03\x04\x05\x06\x07\x08", r"found binary data \(01 02 03 04 05 06 07 08 \.\.\.\)"),
    ],
}


@pytest.mark.parametrize(("code", "data", "text"), [(c, d, t) for c, cases in REFUSED.items() for d, t in cases])
def test_what_cannot_be_read_is_named(code, data, text):
    with pytest.raises(LoadError, match=rf"{code} <bytes>: .*{text}") as error:
        open_bytes(from_bytes(data))
    assert error.value.code == code
    assert error.value.source == "<bytes>"


def test_protobuf_is_named():
    span = b"\x0a\x10" + bytes(range(16)) + b"\x12\x08" + bytes(range(8)) + b"\x2a\x05GET /" + b"\x30\x02"
    scope = b"\x12" + bytes([len(span)]) + span
    resource = b"\x0a\x00\x12" + bytes([len(scope)]) + scope
    message = b"\x0a" + bytes([len(resource)]) + resource
    for data in (message, framed(message, message), gzip.compress(message), framed(zstd.compress(message))):
        with pytest.raises(LoadError, match=r"FORMAT_UNKNOWN .*expected OTLP JSON, found OTLP protobuf, of which only"):
            open_bytes(from_bytes(data))


def test_damaged_text_is_not_taken_for_a_binary_format():
    for data in (
        b"\x01" + LINES,
        b"\n" + LINES,
        b"\n{\n" + b' "a": 1}' * 9,
        b"<14>1 2024-01-01T00:00:00Z host app {}\n",
    ):
        content, stream = load(data)
        assert content == data
        assert stream.compression == "none"


# -------------------------------------------------------------------------------------------------- names, files


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.json", gzip.compress(LINES), "expected plain text from the extension, found gzip; read as gzip"),
        (
            "a.json",
            CONTAINERS["framed-zstd"],
            "expected plain text from the extension, found framed-zstd; read as framed-zstd",
        ),
        ("a.json.gz", LINES, "expected gzip from the extension, found plain text; read as plain text"),
        ("a.json.gz", zstd.compress(LINES), "expected gzip from the extension, found zstd; read as zstd"),
        ("a.json.gz", gzip.compress(LINES), None),
        ("a.json.zst", CONTAINERS["framed-zstd"], None),
        ("traces", gzip.compress(LINES), None),
        ("a.jsonl", LINES, None),
    ],
)
def test_mislabelled_files_are_reported(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with open_bytes(from_file(tmp_path / name)) as stream:
        assert read_all(stream) == LINES
    assert [note.message for note in stream.notes] == ([message] if message else [])
    assert codes(stream) == ["CONTAINER_MISLABELLED"] * bool(message)


def test_very_many_blank_lines_and_nul_bytes_in_front_are_counted(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\n" * 70_000 + bytes(10 << 20) + b"\n" + LINES)
    with open_bytes(from_file(tmp_path / "a.json")) as stream:
        head = stream.offset
        assert head > 10 << 20
        assert stream.line == 70_001
        assert codes(stream) == ["ENC_NUL"]
        assert read_all(stream).lstrip(b"\0\n") == LINES
        assert stream.offset == 70_001 + (10 << 20) + len(LINES)


def test_members_of_a_zip_archive(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("b.json", LINES)
        archive.writestr("a.json.gz", gzip.compress(LINES))
        archive.writestr("zeros.json", b"[1]" + bytes(64 << 20))
    first, second, bomb = expand(path)
    for source, compression in ((first, "zip+gzip"), (second, "zip")):
        with open_bytes(source) as stream:
            assert read_all(stream) == LINES
        assert stream.compression == compression
        assert stream.notes == []
        assert stream.complete
    with open_bytes(bomb) as stream:
        assert len(read_all(stream)) < 80 << 20
        assert stream.stop_reason.startswith("CONTAINER_BOMB")


def test_a_damaged_member_of_a_zip_archive(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.json", LINES)
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    with open_bytes(expand(path)[0]) as stream:
        read_all(stream)
    assert stream.stop_reason.startswith("CONTAINER_DAMAGED: expected a readable file in the archive, found: Bad CRC")


def test_a_file_that_fails_while_it_is_read():
    class Failing(io.RawIOBase):
        def __init__(self):
            self.left = [b'{"a": 1}\n', b'{"a": 2}\n']

        def read(self, size=-1, /):
            if size == 0:
                return b""
            if not self.left:
                raise OSError(5, "Input/output error")
            return self.left.pop(0)

    with open_bytes(from_stream(Failing())) as stream:
        assert read_all(stream) == b'{"a": 1}\n{"a": 2}\n'
    assert stream.stop_reason.startswith(
        "PATH_DENIED: expected to continue reading at byte 18, found: [Errno 5] Input/output error"
    )
    assert not stream.complete


def test_a_source_is_closed_also_when_it_is_refused():
    closed = []

    class File(io.BytesIO):
        def close(self):
            closed.append(True)
            super().close()

    with pytest.raises(LoadError, match="FILE_EMPTY x: "):
        open_bytes(Source("x", "file", File, 0))
    assert closed == [True]
    stream = open_bytes(Source("x", "file", lambda: File(b"[1]"), 3))
    assert isinstance(stream, ByteStream)
    stream.close()
    assert closed == [True, True]


def test_a_large_file_is_read_in_little_memory():
    data = zstd.compress(LINES * 10_000)  # 75 MB
    tracemalloc.start()
    try:
        with open_bytes(from_bytes(data), max_ratio=1e9) as stream:
            while stream.read(1 << 20):
                pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert stream.offset == len(LINES) * 10_000
    assert peak < 12 << 20
