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
    check_investigations(names)


def check_investigations(names):
    """The answers are those planted in the sample: see datasets/checkout-regression/README.md."""
    cause = names["why"].table.iloc[0]
    assert (cause["service_name"], cause["operation"], cause["is_significant"]) == ("ledger", "SELECT entries", True)
    assert (round(cause["baseline_mean_ns"] / 1e6, 2), round(cause["current_mean_ns"] / 1e6, 1)) == (1.54, 39.4)
    assert min(cause["frequency_change_ns"], cause["duration_change_ns"]) > 0
    assert names["blamed"]["service_name"].tolist() == ["ledger", "ledger"]
    assert names["blamed"]["service_version"].tolist() == ["1.5.0", "1.4.0"]
    assert names["blamed"]["change_ns"].gt(0).tolist() == [True, False]
    p50_ms = names["tenants"].set_index("request.app.customer.tier")["p50_ns"] / 1e6
    assert p50_ms.round().to_dict() == {"free": 62, "pro": 64, "enterprise": 214}
    assert not names["windows"].table["is_significant"].any()
    html = Path("checkout.html").read_text(encoding="utf-8")
    assert "<strong>enterprise</strong>" in html
    assert "data:image/png" in html or "<svg" in html


def test_the_four_investigations_are_five_lines_at_most():
    section = TEXT.partition("## Four investigations")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert [len(block.splitlines()) <= 5 for block in blocks] == [True] * 4


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
