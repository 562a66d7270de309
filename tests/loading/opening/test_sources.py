"""Sources: what the user names becomes files in the right order, or an error that says what to do."""

import errno
import io
import os
import socket
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from tracekit.errors import LoadError
from tracekit.loading import read
from tracekit.loading.opening.source import from_stdin
from tracekit.loading.opening.sources import Source, expand
from tracekit.loading.paths import path_error, shown


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a function that makes files in a folder, which is the current one."""
    monkeypatch.chdir(tmp_path)

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name.encode())
        return tmp_path

    return make


def names(what, root=None):
    return [os.path.relpath(source.uri, root) if root else source.uri for source in expand(what)]


def content(source):
    file = source.open()
    try:
        return file.read(1000)
    finally:
        file.close()


def test_a_file(folder):
    root = folder("a.json")
    for what in ("a.json", Path("a.json"), str(root / "a.json"), [Path("a.json")], ("a.json",), iter(["a.json"])):
        (source,) = expand(what)
        assert source.kind == "file"
        assert source.byte_count == 6
        assert source.path == Path(source.uri)
        assert content(source) == b"a.json"
    assert isinstance(source, Source)


def test_a_home_folder_is_found(folder, monkeypatch):
    root = folder("a.json")
    monkeypatch.setenv("HOME", str(root))
    assert names("~/a.json", root) == ["a.json"]
    assert names("~/*.json", root) == ["a.json"]


def test_a_folder_is_read_to_the_bottom_without_hidden_files(folder):
    root = folder("b.json", "a/z.json", "a/b/c.json", ".hidden", ".git/config", "README.md", "labels.json", "A.json")
    assert names(root, root) == ["A.json", "README.md", "b.json", "labels.json", "a/z.json", "a/b/c.json"]


def test_folders_may_be_deeper_than_the_stack(folder):
    root = folder("top.json")
    place = os.open(root, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d", dir_fd=place)
        inside = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inside
    os.close(os.open("deep.json", os.O_CREAT | os.O_WRONLY, dir_fd=place))
    os.close(place)
    assert [Path(name).name for name in names(root)] == ["top.json", "deep.json"]
    assert [Path(name).name for name in names("d/**/deep.*")] == ["deep.json"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("**/*.json", ["a.json", "b/c.json", "b/d/e.json"]),
        ("**/d/*", ["b/d/e.json"]),
        ("b/**", ["b/c.json", "b/d/e.json"]),
        ("**", ["a.json", "b/c.json", "b/d/e.json"]),
        ("**/b/**/*.json", ["b/c.json", "b/d/e.json"]),
        ("[ab]/**/e.*", ["b/d/e.json"]),
    ],
)
def test_two_stars_are_any_number_of_folders(folder, pattern, expected):
    root = folder("a.json", "b/c.json", "b/d/e.json", ".hidden/f.json", "b/.g.json")
    assert names(pattern) == expected
    assert names(str(root / pattern), root) == expected


def test_names_with_control_characters_are_shown_escaped(folder):
    root = folder("\x1b[31ma.json", "\u202eb.json")
    assert names(".") == ["\\x1b[31ma.json", "\\u202eb.json"]
    for what in ("\x1b[2Jmissing", "\x1b[2J*", "x://\x1b[2J", root / "\x1b[31ma.json" / "x"):
        with pytest.raises(LoadError) as error:
            read(what)
        assert str(error.value).isprintable()
    with pytest.raises(LoadError, match=r"^JSON_SYNTAX \\u202eb\.json:1 "):
        read("\u202eb.json")


def test_rotated_files_come_in_the_order_of_time(folder):
    rotated = [
        "data-2022-09-14T05-02-14.173.json",
        "data-2022-09-14T04-02-14.173.json.gz",
        "data-2023-01-01T00-00-00.json",
    ]
    root = folder("data.json", "data2.json", "z.log", "z.log.1", "z.log.10", "z.log.2.gz", "e.json", *rotated)
    expected = [
        rotated[1],
        rotated[0],
        rotated[2],
        "data.json",
        "data2.json",
        "e.json",
        "z.log.10",
        "z.log.2.gz",
        "z.log.1",
    ]
    assert names(root, root) == [*expected, "z.log"]
    assert names("*.json") == [rotated[0], rotated[2], "data.json", "data2.json", "e.json"]


def test_the_order_does_not_depend_on_the_file_system(folder, monkeypatch):
    root = folder(*(f"{n % 3}/{n}.json" for n in range(20)))
    before = names(root, root)
    scandir = os.scandir
    monkeypatch.setattr(os, "walk", lambda top, **options: _reversed_walk(scandir, top, **options))
    assert names(root, root) == before
    assert sorted(before) == sorted(f"{n % 3}/{n}.json" for n in range(20))


def _reversed_walk(scandir, top, **_):
    entries = sorted(scandir(top), key=lambda entry: entry.name, reverse=True)
    folders = [entry.name for entry in entries if entry.is_dir()]
    yield str(top), folders, [entry.name for entry in entries if not entry.is_dir()]
    for name in folders:
        yield from _reversed_walk(scandir, Path(top, name))


def test_patterns(folder):
    folder("a/x.json", "a/b/y.json", "z.json", "z.txt", ".h.json")
    assert names("*.json") == ["z.json"]
    assert names("**/*.json") == ["z.json", "a/x.json", "a/b/y.json"]
    assert names("?.txt") == ["z.txt"]
    assert names("a*") == ["a/x.json", "a/b/y.json"], "a folder a pattern stands for is read"
    assert names(["*.json", "z.json", "a/x.json", "a"]) == ["z.json", "a/x.json", "a/b/y.json"], "each file once"


def test_a_name_with_the_signs_of_a_pattern(folder):
    folder("a[1].json")
    assert names("a[1].json") == ["a[1].json"]


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="names are text there")
def test_names_that_are_no_text_are_escaped(folder):
    root = folder("0.json", "1.json", "2.json")
    (root / "1.json").write_bytes(b"PK\x03\x04noise")
    with zipfile.ZipFile(root / "2.json", "w") as archive:
        archive.writestr("a.json", "{}")
    odd = [os.fsdecode(b"%d-\xff.json" % number) for number in range(3)]
    for number, name in enumerate(odd):
        (root / f"{number}.json").rename(name)
    assert names([odd[0]]) == [r"0-\udcff.json"]
    assert names(root, root) == [r"0-\udcff.json", r"1-\udcff.json", r"2-\udcff.json!a.json"]
    opened = open(odd[0], "rb")  # noqa: PTH123, SIM115 - a Path would know nothing else
    with opened:
        assert names(opened) == [r"0-\udcff.json"]
    for name in odd:
        (root / name).unlink()
    with pytest.raises(LoadError, match=r"PATH_MISSING 0-\\udcff.json: ") as found:
        expand(odd[0])
    assert found.value.source == r"0-\udcff.json"


def test_links_are_followed_and_their_loops_end(folder):
    root = folder("data/a.json", "other/b.json")
    (root / "data/back").symlink_to(root / "data", target_is_directory=True)
    (root / "data/there").symlink_to(root / "other", target_is_directory=True)
    (root / "data/same.json").symlink_to(root / "data/a.json")
    assert names("data") == ["data/a.json", "data/there/b.json"]


def test_a_store_is_one_source(folder):
    root = folder("x.parquet/spans.parquet", "saved/tracekit-store.json", "saved/spans.parquet", "a.json")
    (store,) = expand("x.parquet")
    assert (store.kind, store.uri, store.path) == ("store", "x.parquet", Path("x.parquet"))
    assert [(source.uri, source.kind) for source in expand("saved")] == [("saved", "store")]
    found = [(source.uri, source.kind) for source in expand(".")]
    assert found == [("a.json", "file"), ("saved", "store"), ("x.parquet", "store")]
    assert [source.kind for source in expand("**/*")] == ["file", "store", "store"]
    assert names("x.parquet/*") == ["x.parquet"]
    assert names(root, root) == ["a.json", "saved", "x.parquet"]
    with pytest.raises(
        LoadError, match=r"PATH_SPECIAL x\.parquet: expected a file, found a folder; pass the files in it"
    ):
        store.open()


def test_bytes_and_streams():
    sources = expand([b"one", bytearray(b"two"), memoryview(b"three"), io.BytesIO(b"four")])
    assert [source.uri for source in sources] == ["<bytes 1>", "<bytes 2>", "<bytes 3>", "<BytesIO>"]
    assert [source.byte_count for source in sources] == [3, 3, 5, 4]
    assert [content(source) for source in sources] == [b"one", b"two", b"three", b"four"]
    assert [source.uri for source in expand(b"one")] == ["<bytes>"]


def test_a_stream_is_read_from_its_position_and_left_open(folder):
    folder("a.json")
    with Path("a.json").open("rb") as file:
        file.seek(2)
        (source,) = expand(file)
        assert (source.uri, source.kind, source.byte_count) == ("a.json", "stream", 4)
        assert content(source) == b"json"
        assert content(source) == b"json", "a second time too"
        assert not file.closed


def test_a_pipe_is_read_once():
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as end:
        end.write(b"[1]")
    with os.fdopen(reading, "rb") as end:
        (source,) = expand(end)
        assert source.byte_count is None
        assert content(source) == b"[1]"
        with pytest.raises(
            LoadError, match=r"expected an unread stream, found one that was read before; save it to a file"
        ):
            source.open()


def test_a_pipe_of_the_shell():
    reading, writing = os.pipe()
    os.write(writing, b"[1]")
    os.close(writing)
    (source,) = expand(f"/dev/fd/{reading}")
    assert source.kind == "stream"
    assert content(source) == b"[1]"
    os.close(reading)


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"[1]")))
    (source,) = expand(["-", "-"])
    assert (source.uri, source.kind) == ("<stdin>", "stdin")
    assert content(source) == b"[1]"
    monkeypatch.setattr(sys, "stdin", io.BytesIO(b"[2]"))
    assert content(from_stdin()) == b"[2]"


def test_text_files_are_refused():
    with pytest.raises(
        TypeError, match=r"expected a binary file, found a text file \(StringIO\): open it with mode 'rb'"
    ):
        expand(io.StringIO("{}"))


@pytest.mark.parametrize("what", [3, None, [3], 1.5, object()])
def test_other_things_are_refused(what):
    with pytest.raises(TypeError, match="expected a path, a glob, bytes, a binary file or a list of these, found "):
        expand(what)


# -------------------------------------------------------------------------------------------------- errors


def refused(what, code, text):
    with pytest.raises(LoadError, match=text) as error:
        expand(what)
    assert error.value.code == code
    assert str(error.value).startswith(code)
    assert error.value.source in {shown(what), ""}
    return error.value


def test_a_missing_file_and_its_nearest_names(folder):
    folder("traces.jsonl", "other.json")
    refused(
        "trace.jsonl",
        "PATH_MISSING",
        r"trace\.jsonl: no such file; \. contains traces\.jsonl",
    )
    refused("nowhere/trace.jsonl", "PATH_MISSING", r"no such file; \. contains traces\.jsonl")
    refused("traces.jsonl/x", "PATH_MISSING", "no such file")


def test_a_pattern_without_files(folder):
    folder("traces.jsonl", "d/x.json")
    refused("*.json", "PATH_MISSING", r"\*\.json: no file matches the glob; \. contains ")
    refused("d/*.jsonl", "PATH_MISSING", r"d contains x\.json")
    refused("nowhere/*.jsonl", "PATH_MISSING", r"\. contains ")


def test_empty_things(folder):
    root = folder(".hidden")
    refused(
        str(root),
        "PATH_MISSING",
        r"no trace files in this folder \(hidden files are skipped\); check the path",
    )
    refused([], "PATH_MISSING", "expected at least one file, found an empty list; check the glob")
    (root / "d").mkdir()
    refused("d/*", "PATH_MISSING", "d contains no files")


def test_a_loop_of_links(folder):
    root = folder("a.json")
    (root / "b.json").symlink_to(root / "b.json")
    refused("b.json", "PATH_LOOP", r"b\.json: .*loop of symbolic links; pass the real path")
    good, bad = expand(".")
    assert content(good) == b"a.json"
    with pytest.raises(LoadError, match=r"PATH_LOOP b\.json"):
        bad.open()


def test_a_dangling_link(folder):
    root = folder("a.json")
    (root / "b.json").symlink_to(root / "gone.json")
    refused("b.json", "PATH_MISSING", "no such file")
    _, bad = expand("*.json")
    with pytest.raises(LoadError, match=r"PATH_MISSING b\.json"):
        bad.open()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes in the file system")
def test_special_files_are_refused_without_waiting(folder):
    root = folder("a.json")
    os.mkfifo(root / "pipe")
    refused(
        "pipe",
        "PATH_SPECIAL",
        r"pipe: expected a file, found a named pipe; read it as standard input: tracekit \.\.\. - < pipe",
    )
    refused("/dev/zero", "PATH_SPECIAL", "expected a file, found a device; copy its content to a file")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        refused("socket", "PATH_SPECIAL", "expected a file, found a socket")
        outcomes = []
        thread = threading.Thread(target=lambda: outcomes.extend(expand(".")), daemon=True)
        thread.start()
        thread.join(60)
    good, pipe, _ = outcomes
    assert content(good) == b"a.json"
    with pytest.raises(LoadError, match="PATH_SPECIAL pipe: expected a file, found a named pipe"):
        pipe.open()


def test_a_file_without_permission(folder, monkeypatch):
    folder("a.json", "b.json", "d/c.json")
    file_io, scandir = io.FileIO, os.scandir

    def denied(path, *mode):
        if Path(path).name == "b.json":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return file_io(path, *mode)

    def closed(path):
        if Path(path).name == "d":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(io, "FileIO", denied)
    monkeypatch.setattr(os, "scandir", closed)
    refused("b.json", "PATH_DENIED", "permission denied; change its permissions, or copy the file")
    for what in (".", "**/*.json"):
        good, bad, folder_ = expand(what)
        assert content(good) == b"a.json"
        for source in (bad, folder_):
            with pytest.raises(LoadError, match=rf"PATH_DENIED {source.uri}: permission denied"):
                source.open()
    Path("a.json").write_bytes(b'{"resourceSpans":[]}')
    traces = read(".")
    assert traces.sources["complete"].tolist() == [True, False, False]
    assert traces.issues["message"].str.contains("PATH_DENIED d: ").any()


@pytest.mark.parametrize(
    ("number", "code", "text"),
    [
        (errno.EACCES, "PATH_DENIED", "permission denied; change its permissions, or copy the file"),
        (errno.ENAMETOOLONG, "PATH_MISSING", "the name is too long; pass a path, or bytes for content"),
        (errno.EISDIR, "PATH_SPECIAL", "this is a folder, not a file; pass the files in it"),
        (errno.EIO, "PATH_DENIED", "Input/output error; copy it to another disk"),
    ],
)
def test_the_message_of_the_system_is_shown(number, code, text):
    error = path_error("a.json", OSError(number, os.strerror(number)))
    assert str(error) == f"{code} a.json: {text}"
    assert (error.code, error.source) == (code, "a.json")


def test_a_folder_that_may_not_be_opened(folder, monkeypatch):
    folder("d/a.json")

    def denied(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", denied)
    refused("d", "PATH_DENIED", "d: permission denied")


def test_a_file_that_is_deleted_before_it_is_opened(folder):
    root = folder("a.json")
    (source,) = expand("a.json")
    (root / "a.json").unlink()
    with pytest.raises(LoadError, match=r"PATH_MISSING a\.json: .*no such file; check the name"):
        source.open()


def test_addresses_and_json_text_are_recognised():
    refused("https://example.com/a.json", "PATH_SPECIAL", r"found a URL \(https://\); download it, or pipe it in")
    refused("s3://bucket/a.json", "PATH_SPECIAL", r"found a URL \(s3://\)")
    for text in ('{"resourceSpans": []}', "[" * 5000, '[\n{"a": 1}]'):
        with pytest.raises(LoadError, match=r"expected a path, found JSON text; pass bytes: read\(text\.encode\(\)\)"):
            expand(text)
    refused("a" * 5000, "PATH_MISSING", "the name is too long")
    refused("a\0b", "PATH_MISSING", "no such file")
