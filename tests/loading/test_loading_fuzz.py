"""Damaged recordings of every format and container: read or refused, never lost, never a bare error, never for long.

Each input is made of a small recording by a seeded number of mutations: of its structure (members removed, repeated,
renamed, replaced by odd values) or of its bytes (flipped, cut, repeated, inserted).  A failure names the number of the
input; ``damaged(number)`` makes it again.
"""

import bz2
import gzip
import io
import json
import lzma
import os
import random
import signal
import zipfile
from pathlib import Path
from typing import Any

import pytest
from backports import zstd
from loading.otlp.test_prepper import DOTTED, NESTED, THRIFT
from loading.test_loading_numbers import FORMATS
from made_sets import shop

from tracekit import convert
from tracekit.errors import LoadError, TracekitError
from tracekit.loading import read

IN_EVERY_RUN, SLOWLY = 500, 20_000
SECONDS = 20  # for one input: only a hang is that slow

ODD: list[Any] = [
    *(None, True, False, 0, -1, 5, 2**31, 2**63, 2**64, -(2**63), 10**30, 0.5, -0.0, 1e308, float("nan"), float("inf")),
    *("", " ", "0", "x", "NaN", "1e999999999", "1" * 5000, "a" * 32, "0" * 32, "\0", "\ud800", "\u202e", "2024-06-31"),
    *("0x" + "a" * 16, "=" * 12, "AAAA" * 6, {}, [], [[]], [{}], [None], {"": None}, {"a": {"a": {}}}),
]
NUMBERS = ("1e999999999", "-1e999999999", "1e-999999999", "9" * 4300, "1" * 5000, "1e400", "-0", "1E5")
MEMBERS = ("", "spans", "Traces", "scopeSpans", "traceId", "id")
SEEDS = [
    *FORMATS.values(),
    *(DOTTED, NESTED, THRIFT),
    {"trace": FORMATS["otlp"], "status": "COMPLETE"},
    {"hits": {"hits": [{"_source": NESTED}, {"_source": DOTTED}]}},
    FORMATS["otlp"]["resourceSpans"][0],
    {"TraceSegmentDocuments": [json.dumps(FORMATS["xray"]["Traces"][0]["Segments"][0]["Document"])]},
    FORMATS["jaeger"]["data"][0],
    {"resourceMetrics": []},
    {"message": "not found", "code": 404},
]
BYTES = [
    b"\0",
    b"\0" * 9,
    b"\xff",
    b"\n",
    b"\r\n",
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\",
    b",",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
]
BYTES += [
    b"[" * 300,
    b"\\ud800",
    b"PK\x03\x04",
    b"\x1f\x8b\x08",
    b"\x28\xb5\x2f\xfd",
    b"\0\0\0\x02",
    b"data: ",
    b'{"log"',
]


def _in_structure(value: Any, drawn: random.Random) -> Any:
    """Return a JSON value with one thing in it changed."""
    if not isinstance(value, (dict, list)) or not value or drawn.random() < 0.1:
        return f"<{drawn.choice(NUMBERS)}>" if drawn.random() < 0.3 else drawn.choice(ODD)
    if isinstance(value, list):
        at = drawn.randrange(len(value))
        inside = _in_structure(value[at], drawn)
        middle = drawn.choice([[inside], [inside], [inside], [], [value[at]] * 2, [value[at], inside]])
        return [*value[:at], *middle, *value[at + 1 :]]
    key = drawn.choice(list(value))
    changed = {**value, key: _in_structure(value[key], drawn)}
    chance = drawn.random()
    if chance < 0.2:
        content = changed.pop(key)
        if chance < 0.1:
            changed[drawn.choice([key.upper(), key + "s", *MEMBERS])] = content
    return changed


def _in_bytes(data: bytes, drawn: random.Random) -> bytes:
    """Return bytes with one place in them changed."""
    if not data:
        return drawn.choice(BYTES)
    at = drawn.randrange(len(data))
    length = drawn.choice([1, 1, 2, 8, 64, 4096])
    return drawn.choice(
        [
            data[:at] + bytes([data[at] ^ 1 << drawn.randrange(8)]) + data[at + 1 :],
            data[:at],
            data[:at] + data[at + length :],
            data[:at] + data[at : at + length] * 2 + data[at + length :],
            data[:at] + drawn.choice(BYTES) + data[at:],
        ]
    )


def _spelled(value: Any, drawn: random.Random) -> bytes:
    """Return a JSON value as bytes, on one line or many, odd numbers as they are written."""
    text = json.dumps(value, indent=drawn.choice([None, None, 1]))
    for number in NUMBERS:
        text = text.replace(f'"<{number}>"', number)
    return text.encode()


def _zipped(data: bytes, drawn: random.Random) -> bytes:
    """Return an archive of the data, whole and in two members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", drawn.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as archive:
        for name in ("a.json", "b.json"):
            archive.writestr(name, data)
    return stream.getvalue()


def _framed(data: bytes, drawn: random.Random) -> bytes:
    """Return each line as a message behind its length, perhaps compressed."""
    packed = [zstd.compress(line) if drawn.random() < 0.5 else line for line in data.splitlines() if line]
    return b"".join(len(line).to_bytes(4, "big") + line for line in packed)


CONTAINERS = [
    *[lambda data, _: data] * 6,
    lambda data, _: gzip.compress(data, 1),
    lambda data, _: zstd.compress(data),
    lambda data, _: bz2.compress(data),
    lambda data, _: lzma.compress(data),
    lambda data, _: data.decode("utf-8", "replace").encode("utf-16"),
    _zipped,
    _framed,
]


def damaged(number: int) -> bytes:
    """Return the input of this number."""
    drawn = random.Random(number)
    records = []
    for _ in range(drawn.choice([1, 1, 2, 5])):
        record = drawn.choice(SEEDS)
        for _ in range(drawn.choice([0, 1, 1, 2, 4])):
            record = _in_structure(record, drawn)
        records.append(record)
    if drawn.random() < 0.3:
        data = _spelled(records, drawn)
    else:
        data = drawn.choice([b"\n", b"\n", b"", b"\r\n"]).join(_spelled(record, drawn) for record in records)
    if drawn.random() < 0.4:
        data = _in_bytes(data, drawn)
    data = drawn.choice(CONTAINERS)(data, drawn)
    return _in_bytes(data, drawn) if drawn.random() < 0.3 else data


class TooLongError(BaseException):
    """An input took longer than any may; no handler of the code under test catches it."""


@pytest.fixture(autouse=True)
def _no_hang():
    """Let an alarm raise."""

    def ring(*_: object) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGALRM, ring)
    yield
    signal.signal(signal.SIGALRM, before)


def _tried(action: Any, *args: Any, **options: Any) -> Any:
    """Return what an action gives within bounded time, or its error if that is one of tracekit's."""
    signal.alarm(SECONDS)
    try:
        return action(*args, **options)
    except TracekitError as error:
        return error
    finally:
        signal.alarm(0)


def _audited(what: Any, **options: Any) -> Any:
    """Return the traces in a source, or the code of the error; everything that was seen must be accounted for."""
    traces = _tried(read, what, **options)
    if isinstance(traces, TracekitError):
        assert str(traces).isprintable()
        return getattr(traces, "code", type(traces).__name__)
    sources = traces.sources
    accounted = sources[["accepted_count", "merged_count", "quarantined_count"]].sum(axis=1)
    assert sources["span_count"].tolist() == accounted.tolist()
    assert sources["accepted_count"].sum() == len(traces.columns.spans)
    assert sources["quarantined_count"].sum() == 0 or not traces.issues.empty
    return traces


def _content(traces: Any) -> Any:
    """Return what two ways of reading must agree on."""
    if isinstance(traces, str):
        return traces
    counts = ["span_count", "accepted_count", "merged_count", "quarantined_count", "record_count", "complete"]
    spans = traces.spans.drop(columns=["resource_id", "scope_id"])  # which are numbered as they come
    return spans.to_csv(), _attributes(traces), traces.events.to_csv(), traces.sources[counts].to_csv()


def _attributes(traces: Any) -> list[list[tuple[str, ...]]]:
    """Return the attributes of each span, then of the resource and scope of each span, whatever their numbers."""
    found: dict[tuple[str, int], list[tuple[str, ...]]] = {}
    for owner, number, *content in traces.attributes.astype(str).fillna("").itertuples(index=False):
        found.setdefault((owner, int(number)), []).append(tuple(content))
    spans = traces.spans.reset_index()
    owners = {"span": range(len(spans)), "resource": spans["resource_id"], "scope": spans["scope_id"]}
    return [sorted(found.get((owner, number), [])) for owner, numbers in owners.items() for number in numbers]


def _check(number: int, folder: Path, *, by_convert: bool) -> None:
    """Read an input, and convert and read it: one must be as good as the other."""
    data = damaged(number)
    plain = _audited(data)
    if by_convert:
        file = folder / "a.data"
        file.write_bytes(data)
        store = _tried(convert, file, folder / "a.parquet", spans_at_once=2)
        found = store.code if isinstance(store, LoadError) else _audited(store)
        assert _content(found) == _content(plain)


@pytest.mark.parametrize("part", range(10))
def test_damaged_inputs_are_read_or_refused(part: int, tmp_path: Path) -> None:
    for number in range(part, IN_EVERY_RUN, 10):
        try:
            _check(number, tmp_path, by_convert=number % 100 == part)
        except BaseException as error:
            error.add_note(f"damaged({number})")
            raise


@pytest.mark.slow
@pytest.mark.parametrize("part", range(20))
def test_very_many_damaged_inputs_are_read_or_refused(part: int, tmp_path: Path) -> None:
    for number in range(IN_EVERY_RUN + part, IN_EVERY_RUN + SLOWLY, 20):
        try:
            _check(number, tmp_path, by_convert=number % 200 == part)
        except BaseException as error:
            error.add_note(f"damaged({number})")
            raise


def _workers_agree(numbers: range, folder: Path) -> None:
    """Read many inputs as files of one folder, by one process and by two."""
    for number in numbers:
        (folder / f"{number:06}.data").write_bytes(damaged(number))
    assert _content(_audited(folder, workers=1)) == _content(_audited(folder, workers=2))


def test_two_processes_read_damaged_files_like_one(tmp_path: Path) -> None:
    _workers_agree(range(60), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_two_processes_read_many_damaged_files_like_one(part: int, tmp_path: Path) -> None:
    _workers_agree(range(1000 + 100 * part, 1100 + 100 * part), tmp_path)


def _damage_store(number: int, good: Path, folder: Path) -> Path:
    """Copy a store with one file of it damaged."""
    drawn = random.Random(number)
    path = folder / f"{number}.parquet"
    for file in sorted(good.rglob("*")):
        if file.is_file():
            (path / file.relative_to(good)).parent.mkdir(parents=True, exist_ok=True)
            (path / file.relative_to(good)).write_bytes(file.read_bytes())
    file = drawn.choice(sorted(one for one in path.rglob("*") if one.is_file()))
    file.write_bytes(_in_bytes(file.read_bytes(), drawn)) if drawn.random() < 0.9 else os.truncate(file, 0)
    return path


def test_damaged_stores_are_read_or_refused(tmp_path: Path) -> None:
    good = shop(1, 2).save(tmp_path / "good.parquet")
    expected = _content(_audited(good))
    for number in range(40):
        found = _content(_audited(_damage_store(number, good, tmp_path)))
        assert found == expected or found in ("STORE_BROKEN", "STORE_NEWER", "STORE_OLDER")
