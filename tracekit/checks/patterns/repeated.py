"""Equal calls of one span, found once for all patterns of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracekit.analysis.siblings import Siblings, siblings

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array


def repeated(case: Case) -> Siblings:
    """Return the calls of every span, grouped by operation."""
    return siblings(case.traces)


def retried(case: Case) -> Array:
    """Return which calls of ``repeated`` failed before the same span made the same call again."""
    found = case.result(repeated)
    failed = case.traces.is_error[found.row]
    again = np.zeros(len(failed), bool)
    again[:-1] = found.follows[1:]
    return np.asarray(failed & again)
