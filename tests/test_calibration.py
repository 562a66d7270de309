"""Calibration is the test: shares that hold in simulated worlds, with binomial limits and fixed seeds."""

import subprocess
import sys
from pathlib import Path

import calibration
import pytest

TABLES = calibration.all_tables()


@pytest.mark.parametrize("name", TABLES)
def test_the_table_is_calibrated(name):
    wrong = [str(row) for row in TABLES[name].rows() if not row.is_right]
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_the_full_table_is_calibrated(name):
    """Two thousand replications; ``python tests/calibration.py`` prints them."""
    wrong = [str(row) for row in TABLES[name].rows(calibration.FULL) if not row.is_right]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("hits", "is_right"), [(93, False), (150, True), (200, True)])
def test_a_row_is_wrong_where_chance_does_not_explain_it(hits, is_right):
    row = calibration.Row("case", hits, 200, 0.75, 1.0)
    assert row.is_right == is_right
    assert f"{hits / 2:6.1f} %  of 200" in str(row)


def command(*arguments):
    path = Path(calibration.__file__)
    return subprocess.run([sys.executable, path, *arguments], capture_output=True, text=True, timeout=120, check=False)


def test_one_command_prints_the_tables():
    done = command("truncation", "lags_of_the_young", "--repeats", "50")
    assert done.returncode == 0, done.stderr
    assert "truncation: Traces of up to a minute" in done.stdout
    assert "95th percentile: covered" in done.stdout
    done = command("truncations")
    assert done.returncode == 2
    assert "found truncations" in done.stderr
