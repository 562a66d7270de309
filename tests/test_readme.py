"""The README: its code runs, and the names and files in it exist."""

import re
from pathlib import Path

import pytest

import tracekit as tk
from tracekit.cli import app
from tracekit.loading.building.catalogue import CATALOGUE

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_the_set_up_commands_come_first():
    assert BLOCKS[0][1].splitlines()[0].startswith("pip install . && tracekit demo")
    assert BLOCKS[0][1].splitlines()[1].startswith("pip install '.[test]' && python -m pytest")


def test_the_tour_and_what_follows_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tour, *more = [code for language, code in BLOCKS if language == "python"]
    assert len([line for line in tour.splitlines() if line and "import" not in line]) == 6
    names = {}
    exec(compile(tour, "README.md", "exec"), names)
    assert (tmp_path / "postmortem.html").read_text(encoding="utf-8").lower().startswith("<!doctype html>")
    assert isinstance(names["during"], tk.TraceSet)
    for code in more:
        exec(compile(code, "README.md", "exec"), names)


def test_names_and_commands_exist():
    assert set(re.findall(r"\btk\.(\w+)", TEXT)) <= set(tk.__all__)
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    commands |= {group.name for group in app.registered_groups}
    assert [command for command in sorted(commands) if f"tracekit {command}" not in TEXT] == []
    assert set(re.findall(r"^tracekit (\w+)", TEXT, re.MULTILINE)) <= commands


def test_pictures_and_files_are_there_and_small():
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", TEXT)
    assert pictures
    for name in pictures:
        assert (ROOT / name).stat().st_size < 300_000
    for name in re.findall(r"`((?:tests|notebooks)/[\w/.-]+)`", TEXT):
        assert (ROOT / name).exists(), name


def test_the_repository_layout_lists_every_package():
    (layout,) = [text for _, text in BLOCKS if text.startswith("tracekit/")]
    named = {word for line in layout.splitlines() for word in re.findall(r"^ {2}((?:\S+ ?)+?) {2,}", line)}
    files = {name.rstrip("/") for names in named for name in names.split()}
    for name in files:
        assert (ROOT / "tracekit" / name).exists(), name
    packages = {
        path.name for path in (ROOT / "tracekit").iterdir() if path.is_dir() and (path / "__init__.py").exists()
    }
    assert packages <= files


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_family_of_issues_is_reported(code):
    families = re.findall(r"^\| `([A-Z_ ]+)` \|", TEXT, re.MULTILINE)
    assert any(code.startswith(family) for row in families for family in row.split())
