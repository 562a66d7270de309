"""Many small files are read together in the compiled lane, with the result of reading them one by one."""

import gzip
import json

import pytest
from loading.jaeger.mutated_answers import CORPUS, ELASTIC, GOOD, HIT, OLD, RICH, SEARCH, mutated
from loading.jaeger.test_jaeger import span, trace
from loading.native.compared import differ
from loading.otlp_made import ids, line, request
from loading.otlp_made import span as otlp_span

from tracekit.errors import LoadError
from tracekit.loading import native, read, together
from tracekit.loading.reading import SourceReader

pytestmark = pytest.mark.skipif(native.extension is None, reason="the compiled lane was not built")

ALONE = {
    "blank.json": b" \n\n",
    "blank_before.json": b"\n" + GOOD,
    "cut.json": GOOD[:-40],
    "empty.json": b"",
    "indented.json": json.dumps(json.loads(GOOD), indent=1).encode(),
    "lines.json": GOOD + b"\n" + GOOD,
    "list.json": json.dumps([trace(span(1))]).encode(),
    "mark.json": b"\xef\xbb\xbf" + GOOD,
    "nul.json": GOOD + b"\0\0",
    "odd.json": json.dumps({"data": [trace(span(1, warnings=["w"]))]}).encode(),
    "otlp.json": line(request(otlp_span(**ids(7)))),
    "packed.json": gzip.compress(GOOD),
    "plain.gz": GOOD,
    "utf16.json": GOOD.decode().encode("utf-16"),
    "without_suffix": GOOD,
    "ustar.json": (b'{"data": [' + b" " * 247 + b"ustar")[:262] + GOOD[10:],
    "text.json": b"not found",
}
TOGETHER = {
    "answer.json": GOOD,
    "newline.json": GOOD + b"\n",
    "blank_behind.json": GOOD + b"\r\n \n\n",
    "everything.json": json.dumps(RICH).encode(),
    "old.json": json.dumps(OLD).encode(),
    "no_spans.json": json.dumps({"data": [trace()]}).encode(),
    "trace.json": json.dumps(trace(span(3))).encode(),
    "document.json": json.dumps(ELASTIC).encode(),
    "hit.json": json.dumps(HIT).encode(),
    "search.json": json.dumps(SEARCH).encode(),
}


@pytest.fixture
def alone(monkeypatch):
    """The names of the files that are read alone from here on, in the compiled lane."""
    monkeypatch.setenv(native.SWITCH, "compiled")
    given = []
    real = SourceReader.read

    def read_alone(self, source):
        given.append(source.path.name)
        real(self, source)

    monkeypatch.setattr(SourceReader, "read", read_alone)
    return given


def folder_of(path, files):
    path.mkdir(exist_ok=True)
    for name, data in files.items():
        (path / name).write_bytes(data)
    return path


def test_small_files_are_read_together(tmp_path, alone):
    folder = folder_of(tmp_path / "traces", TOGETHER)
    traces = read(folder, progress=False)
    assert alone == []
    assert traces.sources["uri"].str.endswith(tuple(TOGETHER)).all()
    assert traces.sources["byte_count"].tolist() == [len(TOGETHER[name]) for name in sorted(TOGETHER)]
    assert not differ(folder)


@pytest.mark.parametrize("at_once", [1, 3_000, together.AT_ONCE])
def test_any_other_file_is_read_alone_in_its_turn(at_once, tmp_path, alone, monkeypatch):
    monkeypatch.setattr(together, "AT_ONCE", at_once)
    files = {f"{number:02d}_{name}": data for number, (name, data) in enumerate({**ALONE, **TOGETHER}.items())}
    names = sorted(files, key=lambda name: name[::-1])  # mixed
    files = {f"{number:02d}_{name[3:]}": files[name] for number, name in enumerate(names)}
    folder = folder_of(tmp_path / "traces", files)
    read(folder, progress=False)
    assert {name[3:] for name in alone} == set(ALONE)
    assert not differ(folder)


@pytest.mark.parametrize("first", range(0, 400, 40))
def test_mutated_files_are_read_alike(first, tmp_path):
    files = {f"{number:05d}.json": mutated(number) for number in range(first, first + 40)}
    assert not differ(folder_of(tmp_path / "traces", {**files, "good.json": GOOD}))


def test_files_of_every_shape_are_read_alike(tmp_path):
    assert not differ(folder_of(tmp_path / "traces", {f"{number:05d}.json": one for number, one in enumerate(CORPUS)}))


def test_a_file_that_is_gone_is_reported_by_reading_it_alone(tmp_path, alone, monkeypatch):
    folder = folder_of(tmp_path / "traces", {"a.json": GOOD, "b.json": GOOD, "c.json": GOOD})
    real = together._blocks

    def gone(sources):
        blocks = list(real(sources))
        (folder / "b.json").unlink()
        return blocks

    monkeypatch.setattr(together, "_blocks", gone)
    traces = read(folder, progress=False)
    assert alone == ["b.json"]
    assert traces.sources["complete"].tolist() == [True, False, True]
    assert traces.issues["code"].tolist().count("PATH_MISSING") == 1


def test_large_files_and_strict_reading_are_left_alone(tmp_path, alone, monkeypatch):
    folder = folder_of(tmp_path / "traces", {"a.json": GOOD, "b.json": GOOD})
    read(folder, progress=False, strict=True)
    assert alone == ["a.json", "b.json"]
    alone.clear()
    monkeypatch.setattr(together, "SMALL", 10)
    read(folder, progress=False)
    assert alone == ["a.json", "b.json"]


def test_a_bad_first_file_does_not_hide_the_others(tmp_path):
    folder = folder_of(tmp_path / "traces", {"a.json": b"no", "b.json": GOOD})
    assert len(read(folder, progress=False).spans) == 1
    with pytest.raises(LoadError, match=r"JSON_SYNTAX.*a\.json:1 is not JSON"):
        read(folder, progress=False, format="otlp")
