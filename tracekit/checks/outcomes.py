"""What became of each trace: probability, outcome and duration, which checks ask of all parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracekit.analysis.trace_rows import TOOK, Rows
from tracekit.checks.merged import Merged

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.checks.case import Case


def rows_one_by_one(_: Case, rows: Rows) -> pd.DataFrame:
    """Return one row per trace: the last step of a ``Merged`` with rows."""
    return rows.one_by_one()


def _outcomes(case: Case) -> Rows:
    """Return probability, outcome and duration of the traces of a part."""
    columns: dict[str, Any] = {"probability": case.probability, "is_base": case.base, "failed": case.failed}
    return Rows.of(columns | {TOOK: case.took_ns})


OUTCOMES: Final[Merged[pd.DataFrame]] = Merged(_outcomes, Rows.plus, rows_one_by_one, limit=Rows.distinct)
"""One row per trace: ``probability``, ``is_base``, ``failed`` and ``took_ns``, as ``SampledTraces`` has them.

Of a store, the rows have no order; with more than 4,096 distinct ones durations are off by 1/512 at most.
"""
