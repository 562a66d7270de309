"""What a process that is killed while it saves leaves behind, and what the next one makes of it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from made_sets import assert_identical, shop

from tracekit import convert
from tracekit.errors import LoadError
from tracekit.loading import read
from tracekit.loading.store import place as place_module
from tracekit.loading.store.place import beside, clear, recover

KILLED = """
import os, pathlib, sys
import tracekit as tk
real = pathlib.Path.rename
def rename(self, to):
    found = real(self, to)
    if str(to).endswith(".old"):
        os.kill(os.getpid(), 9)
    return found
pathlib.Path.rename = rename
tk.read(sys.argv[1]).save(sys.argv[2])
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def killed(tmp_path):
    """A folder in which a save over a.parquet was killed between its two renames; beside it what was to be saved."""
    shop(1).save(tmp_path / "a.parquet")
    shop(2, 3).save(tmp_path / "b.parquet")
    program = [sys.executable, "-c", KILLED, tmp_path / "b.parquet", tmp_path / "a.parquet"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run(program, check=False, env=environment).returncode == -signal.SIGKILL
    assert "a.parquet" not in names(tmp_path)
    return tmp_path


def test_a_store_killed_between_its_renames_is_read(killed):
    assert_identical(read(killed / "a.parquet"), shop(2, 3))


def test_what_a_killed_save_left_is_removed_by_the_next_one(killed):
    shop(4).save(killed / "a.parquet")
    assert names(killed) == ["a.parquet", "b.parquet"]
    assert_identical(read(killed / "a.parquet"), shop(4))


def test_an_older_store_is_recovered_where_the_newer_is_not_whole(tmp_path):
    shop(1).save(tmp_path / "a.parquet")
    (tmp_path / "a.parquet").rename(tmp_path / ".a.parquet.00000000.old")
    (tmp_path / ".a.parquet.11111111.new").mkdir()
    assert_identical(read(tmp_path / "a.parquet"), shop(1))
    assert names(tmp_path) == [".a.parquet.11111111.new", "a.parquet"], "reading removes nothing"


def test_runs_of_a_killed_conversion_are_removed_by_the_next_one(tmp_path):
    (tmp_path / ".a.parquet.00000000.runs").mkdir()
    (tmp_path / ".a.parquet.00000000.runs" / "0001").write_bytes(b"x")
    (tmp_path / ".other.parquet.00000000.runs").mkdir()
    (tmp_path / "a.json").write_bytes(b'{"resourceSpans":[]}')
    convert(tmp_path / "a.json", tmp_path / "a.parquet")
    assert names(tmp_path) == [".other.parquet.00000000.runs", "a.json", "a.parquet"]


def test_what_another_process_writes_is_left_alone(tmp_path):
    place = tmp_path / "a.parquet"
    with beside(place, "new") as new, beside(place, "runs") as runs:
        clear(place)
        assert names(tmp_path) == sorted([new.name, runs.name])
    assert names(tmp_path) == []


def test_nothing_is_taken_for_left_where_folders_cannot_be_locked(tmp_path, monkeypatch):
    left = tmp_path / ".a.parquet.00000000.new"
    left.mkdir()

    def refuse(*_):
        raise OSError(95, "Operation not supported")

    with monkeypatch.context() as patched:
        patched.setattr(place_module.fcntl, "flock", refuse)
        shop(1).save(tmp_path / "a.parquet")
    with monkeypatch.context() as patched:
        patched.setattr(place_module, "fcntl", None)
        shop(2).save(tmp_path / "a.parquet")
        clear(tmp_path / "a.parquet")
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        clear(tmp_path / "a.parquet")
    assert names(tmp_path) == [left.name, "a.parquet"]
    recover(tmp_path / "nowhere" / "a.parquet")


def test_a_store_that_cannot_be_recovered_is_an_error(killed, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(LoadError, match=r"PATH_DENIED .*a\.parquet"):
        read(killed / "a.parquet")
