"""Stores of several parts, and frames that must agree."""

import numpy as np
import pandas as pd
import pytest

import tracekit as tk
from tracekit.loading.store.read_write import writing

COUNTS = [1, 5, pytest.param(64, marks=pytest.mark.slow)]
"""Numbers of parts; of 64 parts, the findings of a report, the reading and one analysis are always compared."""


def split(traces, path, count, seed=0):
    """A store with the traces in this many parts, at random."""
    chosen = np.random.default_rng(seed).integers(0, count, len(traces))
    with writing(path) as store:
        for number in range(count):
            if (chosen == number).any():
                store.part(traces.where((chosen == number)[traces.forest.trace]))
        store.finish(traces.columns.sources, traces.columns.issues, traces.columns.notes)
    return tk.open(path)


def same(found, expected):
    """Two frames: equal counts and texts, floats to 1e-9."""
    pd.testing.assert_frame_equal(found, expected, check_exact=False, rtol=1e-9, atol=0)
    whole = [name for name, kind in expected.dtypes.items() if kind.kind in "iub"]
    pd.testing.assert_frame_equal(found[whole], expected[whole], check_exact=True)
