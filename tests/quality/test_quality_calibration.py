"""Calibration is the test: shares that hold in simulated worlds, with binomial limits and fixed seeds."""

import pytest
from quality.tables import TABLES, rows


@pytest.mark.parametrize("name", TABLES)
def test_the_table_holds(name):
    wrong = [str(row) for row in rows(name) if not row.is_right]
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_the_full_table_holds(name):
    """Two thousand replications; ``python tests/quality/calibrate.py`` prints them."""
    wrong = [str(row) for row in rows(name, 2000) if not row.is_right]
    assert not wrong, "\n".join(wrong)
