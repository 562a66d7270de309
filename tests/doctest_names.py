"""What the examples in docstrings may use without importing it; loaded for every folder by ``-p`` in pyproject.toml."""

import numpy as np
import pandas as pd
import pytest

import tracekit as tk


@pytest.fixture(autouse=True, scope="session")
def doctest_names(doctest_namespace):
    """The names of the docstring of tracekit."""
    baseline, shop = tk.load_sample("small-shop")
    doctest_namespace.update(tk=tk, pd=pd, np=np, baseline=baseline, shop=shop)
