"""Zip archives: their members are sources, opened once together, and each fails alone."""

import io
import zipfile
from pathlib import Path

import pytest

from tracekit.errors import LoadError
from tracekit.loading import read
from tracekit.loading.opening.sources import expand

LINE = (
    '{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"%032x","spanId":"%016x","name":"x",'
    '"startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000000000000009"}]}]}]}'
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a function that makes files in a folder, which is the current one."""
    monkeypatch.chdir(tmp_path)

    def make(*names):
        for name in names:
            (tmp_path / name).write_bytes(name.encode())
        return tmp_path

    return make


def content(source):
    file = source.open()
    try:
        return file.read(1000)
    finally:
        file.close()


def names(what):
    return [source.uri for source in expand(what)]


def lines(count):
    return {f"{number:03}.json": LINE % (number + 1, number + 1) for number in range(count)}


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def make_zip(place, **members):
    with zipfile.ZipFile(place, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def test_members_of_archives_are_sources(folder):
    root = folder("a.json")
    make_zip(
        root / "x.zip",
        **{"b/2.json": b"two", "1.json": b"one", ".DS_Store": b"", "__MACOSX/b/._2.json": b"", "d/": b""},
    )
    found = expand(".")
    assert [source.uri for source in found] == ["a.json", "x.zip!1.json", "x.zip!b/2.json"]
    assert [source.kind for source in found] == ["file", "zip-member", "zip-member"]
    assert [content(source) for source in found] == [b"a.json", b"one", b"two"]
    assert [source.packed_byte_count for source in found] == [None, 3, 3]
    data = (root / "x.zip").read_bytes()
    (root / "named.json").write_bytes(data)
    assert names("named.json") == ["named.json!1.json", "named.json!b/2.json"], "by content, not by name"
    for what, uri in ((data, "<bytes>"), (io.BytesIO(data), "<BytesIO>")):
        assert [(source.uri, content(source)) for source in expand(what)] == [
            (f"{uri}!1.json", b"one"),
            (f"{uri}!b/2.json", b"two"),
        ]
    assert len(expand(["x.zip", "x.zip", data, data])) == 6


def test_a_cut_archive(folder):
    root = folder("a.json")
    make_zip(root / "x.zip", **{"1.json": b"one" * 1000})
    (root / "x.zip").write_bytes((root / "x.zip").read_bytes()[:-30])
    with pytest.raises(
        LoadError, match=r"CONTAINER_DAMAGED x\.zip: expected a zip archive, found an unreadable directory"
    ):
        expand("x.zip")
    good, bad = expand(".")
    assert content(good) == b"a.json"
    with pytest.raises(LoadError, match=r"CONTAINER_DAMAGED x\.zip"):
        bad.open()


def test_an_archive_without_files(folder):
    root = folder()
    make_zip(root / "x.zip", **{"d/": b""})
    with pytest.raises(LoadError, match=r"FILE_EMPTY x\.zip: expected files in the zip archive, found none") as error:
        expand("x.zip")
    assert error.value.code == "FILE_EMPTY"


def test_encrypted_and_unusual_members_are_refused_one_by_one(folder):
    root = folder()
    make_zip(root / "x.zip", **{"1.json": b"one", "2.json": b"two"})
    data = bytearray((root / "x.zip").read_bytes())
    directory = data.index(b"PK\x01\x02")
    data[directory + 8] |= 1  # the flag of encryption
    second = data.index(b"PK\x01\x02", directory + 4)
    data[second + 10] = 99  # a method nobody knows
    (root / "x.zip").write_bytes(data)
    first, second = expand("x.zip")
    with pytest.raises(LoadError, match=r"PATH_DENIED x\.zip!1\.json: .*found an encrypted one; unpack it with its"):
        first.open()
    with pytest.raises(
        LoadError, match=r"CONTAINER_DAMAGED x\.zip!2\.json: expected a readable file in the archive, found: "
    ):
        second.open()


@pytest.fixture
def openings(monkeypatch):
    """Return the list of how often an archive's directory was read."""
    found = []
    original = zipfile.ZipFile.__init__

    def counted(self, *args, **kwargs):
        found.append(args[0])
        original(self, *args, **kwargs)

    monkeypatch.setattr(zipfile.ZipFile, "__init__", counted)
    return found


def test_the_directory_is_read_once_to_list_and_once_for_all_members(folder, openings):
    root = folder()
    make_zip(root / "x.zip", **lines(50))
    openings.clear()
    before = open_files()
    assert len(read("x.zip")) == 50
    assert len(openings) == 2
    assert open_files() == before


def test_members_that_cannot_be_opened_cost_themselves_only(folder, openings):
    root = folder()
    make_zip(root / "x.zip", **lines(50))
    data = bytearray((root / "x.zip").read_bytes())
    for number in range(1, 50, 2):
        data[data.index(b"%03d.json" % number) - 30] ^= 0xFF  # the signature in front of the member
    (root / "x.zip").write_bytes(data)
    openings.clear()
    before = open_files()
    traces = read("x.zip")
    assert len(traces) == 25
    assert traces.sources["complete"].tolist() == [True, False] * 25
    assert len(openings) == 2
    assert open_files() == before


def test_an_archive_is_closed_when_no_member_can_be_opened(folder):
    root = folder()
    make_zip(root / "x.zip", **lines(2))
    data = (root / "x.zip").read_bytes().replace(b"PK\x03\x04", b"PK\x03\xff")
    (root / "x.zip").write_bytes(b"PK\x03\x04" + data[4:])
    before = open_files()
    sources = expand("x.zip")
    with pytest.raises(
        LoadError, match=r"x\.zip!001\.json: expected a readable file in the archive, found: Bad magic number"
    ):
        sources[1].open()
    sources[0].open().close()
    assert open_files() == before


def test_an_archive_that_lost_bytes_in_the_middle():
    stream = io.BytesIO()
    make_zip(stream, **{"a.json": "{}" + " " * 500})
    data = stream.getvalue()
    message = r"^CONTAINER_DAMAGED <bytes>!a\.json: expected a readable file in the archive, found: negative seek"
    with pytest.raises(LoadError, match=message):
        read(data[:40] + data[400:])


def test_two_members_of_one_name_are_both_read(folder):
    root = folder()
    with zipfile.ZipFile(root / "x.zip", "w") as archive:
        archive.writestr("a.json", LINE % (1, 1))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.json", LINE % (2, 2))
    traces = read(Path("x.zip"))
    assert len(traces) == 2
    assert traces.sources["uri"].tolist() == ["x.zip!a.json", "x.zip!a.json (2)"]


def test_names_with_control_characters_are_shown_escaped():
    stream = io.BytesIO()
    make_zip(stream, **{"\x1b[31m.json": "no traces"})
    assert names(stream.getvalue()) == ["<bytes>!\\x1b[31m.json"]
