"""Chunks of lines: every byte once, every line whole, positions exact."""

import gzip
import io
import json
import random
import re
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.loading.opening.container import open_bytes
from tracekit.loading.opening.source import from_bytes, from_file
from tracekit.loading.records import JsonPull, LineChunk, LongLine, filled_lines, line_chunks


class Blocks:
    """A stream that gives its bytes in blocks of its own choosing."""

    def __init__(self, data, sizes):
        self._data = data
        self._sizes = sizes
        self._at = 0
        self._turn = 0

    def read(self, size, /):
        size = min(size, self._sizes[self._turn % len(self._sizes)])
        self._turn += 1
        block = self._data[self._at : self._at + size]
        self._at += len(block)
        return block


def everything(part, size=3):
    if isinstance(part, LineChunk):
        return part.content
    data = b"".join(iter(lambda: part.read(size), b""))
    return data + b"\n" * part.ends_in_newline


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\0", b"0"))),
    st.booleans(),
    st.integers(1, 50),
    st.lists(st.integers(1, 50), min_size=1, max_size=3),
)
def test_all_lines_once_and_whole(lines, last_newline, size, blocks):
    data = b"\n".join(lines) + b"\n" * last_newline
    chunks = list(line_chunks(Blocks(data, blocks), size))
    assert b"".join(chunk.data for chunk in chunks) == data
    assert [chunk.final for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    for chunk in chunks:
        assert data[chunk.first_offset :].startswith(chunk.data)
        assert chunk.first_line == 1 + data[: chunk.first_offset].count(b"\n")
        assert chunk.first_offset == 0 or data[chunk.first_offset - 1 : chunk.first_offset] == b"\n"
        assert chunk.ends_in_newline == (chunk.data.endswith(b"\n") or not chunk.data)
        assert chunk.final or chunk.ends_in_newline


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=60).map(lambda line: re.sub(rb"[\0\n]", b"0", line)), min_size=1),
    st.booleans(),
    st.integers(1, 20),
    st.integers(1, 30),
    st.sampled_from([1, 3, 100]),
    st.booleans(),
)
def test_long_lines_are_streams(lines, last_newline, size, max_line, read_size, read_them):
    data = b"\n".join(lines) + b"\n" * last_newline
    pieces = []
    for part in line_chunks(io.BytesIO(data), size, max_line=max_line):
        start = part.offset if isinstance(part, LongLine) else part.first_offset
        line = part.line if isinstance(part, LongLine) else part.first_line
        assert line == 1 + data[:start].count(b"\n")
        if isinstance(part, LongLine) and not read_them:
            part.read(2)
            rest = data[start:].split(b"\n", 1)
            pieces.append(rest[0] + b"\n" * (len(rest) > 1))
        else:
            pieces.append(everything(part, read_size))
        assert data[start:].startswith(pieces[-1])
        assert isinstance(part, LongLine) or len(part.data) <= max_line + 2 * size
    assert b"".join(pieces) == data
    assert isinstance(part, LineChunk)
    assert part.final


def test_positions_and_endings():
    chunks = list(line_chunks(io.BytesIO(b"{}\r\n\r\n[1]\n[2"), 5))
    assert [
        (chunk.data, chunk.first_line, chunk.first_offset, chunk.final, chunk.ends_in_newline) for chunk in chunks
    ] == [
        (b"{}\r\n", 1, 0, False, True),
        (b"\r\n[1]\n", 2, 4, False, True),
        (b"[2", 4, 10, True, False),
    ]
    (chunk,) = line_chunks(io.BytesIO(b""))
    assert (chunk.data, chunk.final, chunk.ends_in_newline) == (b"", True, True)


def test_the_position_of_the_stream_counts():
    stream = io.BytesIO(b"[1]\n[2]")
    stream_with_position = type("Stream", (), {"read": stream.read, "offset": 100, "line": 7, "notes": []})()
    (chunk,) = line_chunks(stream_with_position)
    assert (chunk.first_line, chunk.first_offset) == (7, 100)


def test_a_byte_stream_begins_behind_its_mark():
    with open_bytes(from_bytes(b"\xef\xbb\xbf[1]\n" + bytes(20) + b"[2]\n")) as stream:
        first, second = line_chunks(stream)
    assert (first.first_offset, second.first_offset, second.first_line) == (3, 27, 2)
    assert [note.code for note in stream.notes] == ["ENC_BOM", "ENC_NUL"]
    assert stream.notes[1].byte_offset == 7


# -------------------------------------------------------------------------------------------------- views


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([b"", b"a", b"bc" * 40, b"\0" * 9, b"d\0", b"\xff" * 7]), max_size=40),
    st.booleans(),
    st.integers(1, 300),
    st.sampled_from([20, 1 << 20]),
)
def test_views_are_the_chunks_that_copies_are(lines, last_newline, size, max_line):
    data = b"x" + b"\n".join(lines) + b"\n" * last_newline

    def told(*, views):
        with open_bytes(from_bytes(data)) as stream:
            text, last = b"", None
            for last in line_chunks(stream, size, max_line=max_line, views=views):
                text += everything(last)
            return text, last.ends_in_newline, [(note.code, note.byte_offset) for note in stream.notes]

    if b"\0" not in data and max_line > len(data):
        with open_bytes(from_bytes(data)) as stream:
            at, line = 0, 1
            for part in line_chunks(stream, size, views=True):
                assert (part.first_offset, part.first_line) == (at, line)
                assert part.final or part.content.endswith(b"\n")
                at, line = at + len(part.data), line + part.content.count(b"\n")
        assert at == len(data)
    assert told(views=True) == told(views=False)


def test_memory_is_used_again_only_without_a_view():
    data = b"".join(b"%07d\n" % n for n in range(4000))
    with open_bytes(from_bytes(data)) as stream:
        kept = [chunk.data for chunk in line_chunks(stream, 3000, views=True)]
    assert b"".join(kept) == data
    with open_bytes(from_bytes(data)) as stream:
        buffers = {id(chunk.data.obj) for chunk in line_chunks(stream, 3000, views=True)}
    assert len(buffers) == 2, "that of the chunk, and that of the one before it"


@pytest.mark.parametrize("packed", [False, True])
def test_reading_into_memory_is_reading(packed, tmp_path):
    data = random.Random(1).randbytes(5000).replace(b"\0", b"x")
    path = tmp_path / "a.json"
    path.write_bytes(gzip.compress(b"{" + data) if packed else b"{" + data)
    with open_bytes(from_file(path), is_text=False) as stream:
        assert stream.peek(3) == b"{" + data[:2]
        made = bytearray()
        room = memoryview(bytearray(700))
        while count := stream.readinto(room):
            made += room[:count]
            assert stream.offset == len(made)
            assert stream.peek(1) == data[len(made) - 1 : len(made)]
    assert made == b"{" + data


# -------------------------------------------------------------------------------------------------- NUL padding


def records(data, size=1 << 20, **options):
    """The lines that parse, with where they stand."""
    notes = []
    found = []
    for chunk in line_chunks(io.BytesIO(data), size, notes=notes, **options):
        offset = chunk.first_offset
        for number, line in enumerate(chunk.data.split(b"\n")):
            if line.strip():
                start = offset + len(line) - len(line.lstrip())
                found.append((line.strip(), chunk.first_line + number, start))
            offset += len(line) + 1
    return found, notes


@pytest.mark.parametrize("size", [1, 5, 64, 1 << 20])
@pytest.mark.parametrize("count", [1, 3, 7, 8, 9, 100, 1000])
def test_padding_is_left_out_everywhere(size, count):
    gap = bytes(count)
    for data in (
        gap + b"[1]\n[2]\n",
        b"[1]\n" + gap + b"[2]\n",
        b"[1]" + gap + b"\r\n[2]\n",
        b"[1]\n[2]\n" + gap,
        b"[1]\n[2]" + gap,
    ):
        found, notes = records(data, size)
        assert found == [(b"[1]", 1, data.index(b"[1]")), (b"[2]", 2, data.index(b"[2]"))]
        assert [note.code for note in notes] == ["ENC_NUL"]
        assert f"found {count:,} NUL bytes" in notes[0].message
        assert notes[0].byte_offset == data.index(b"\0")


def test_a_line_cut_by_padding_costs_only_itself():
    data = b'[1]\n{"a": "b' + bytes(4096) + b"[2]\n[3]\n"
    found, notes = records(data)
    assert found == [(b"[1]", 1, 0), (b'{"a": "b', 2, 4), (b"[2]", 2, 12 + 4096), (b"[3]", 3, 16 + 4096)]
    assert "found 4,096 NUL bytes" in notes[0].message


def test_single_nul_bytes_inside_a_line_stay():
    found, notes = records(b'["a\0b"]\n["c\0\0\0d"]\n', size=3)
    assert [line for line, _, _ in found] == [b'["a\0b"]', b'["c\0\0\0d"]']
    assert notes == []


def test_a_sparse_file_takes_no_memory():
    class Sparse:
        left = 200

        def read(self, size, /):
            self.left -= 1
            return bytes(size) if self.left > 0 else (b"[1]\n" if self.left == 0 else b"")

    tracemalloc.start()
    try:
        notes = []
        chunks = [
            chunk for chunk in line_chunks(Sparse(), 1 << 20, max_line=2 << 20, notes=notes) if chunk.data.strip()
        ]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [chunk.data.strip() for chunk in chunks] == [b"[1]"]
    assert len(notes) == 1
    assert peak < 20 << 20


# -------------------------------------------------------------------------------------------------- memory


def test_a_giant_line_between_others_is_read_in_little_memory():
    item = json.dumps({"name": "x" * 200, "attributes": [1, 2, 3]}).encode() + b","

    class Giant:
        def __init__(self):
            self.parts = iter([b"[1]\n", b"[", *([item * 4000] * 20), item[:-1], b"]\n[2]\n"])
            self.buffer = b""

        def read(self, size, /):
            while len(self.buffer) < size and (part := next(self.parts, b"")):
                self.buffer += part
            data, self.buffer = self.buffer[:size], self.buffer[size:]
            return data

    seen = []
    tracemalloc.start()
    try:
        for part in line_chunks(Giant(), 1 << 18, max_line=1 << 20):
            if isinstance(part, LongLine):
                assert part.line == 2
                pull = JsonPull(part)
                assert pull.offset == 4
                seen.append(sum(1 for _ in pull.items() if pull.value()["attributes"]))
                assert not pull.more()
            else:
                seen += part.data.split(b"\n")[:-1]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seen == [b"[1]", 20 * 4000 + 1, b"[2]"]
    assert peak < 8 << 20


def test_filled_lines_are_those_that_a_split_finds():
    drawn = random.Random(1)
    for _ in range(3000):
        data = bytes(drawn.choices(b"\n\n\n  \t\r{a\0", k=drawn.randint(0, 25)))
        expected, offset = [], 0
        for number, line in enumerate(data.split(b"\n"), 3):
            if line.strip():
                expected.append((number, offset, offset + len(line)))
            offset += len(line) + 1
        assert list(filled_lines(data, 3)) == expected, data


def test_blank_lines_cost_less_than_a_step_each():
    for blank in (b"\n", b" \r\n"):
        data = b"{}" + blank * 10_000_000 + b"[]"
        begun = time.process_time()
        assert [number for number, _, _ in filled_lines(data, 1)] == [1, 10_000_001]
        assert time.process_time() - begun < 1
