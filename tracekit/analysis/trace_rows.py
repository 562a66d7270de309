"""Rows about traces, one by one, that add up over parts: equal rows become one, with the number of their traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.attributes import Codes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.columns import Array

OFTEN: Final = "trace_count"
TOOK: Final = "took_ns"
_MOST: Final = 4096  # distinct rows with exact durations
_STEPS: Final = 512.0  # of a rounded duration within a power of two: it is off by 1/512 at most


class Rows(NamedTuple):
    """Distinct rows about traces; those of parts add, in any order.

    Parameters
    ----------
    frame
        The rows, with the number of traces of each (``OFTEN``).
    is_rounded
        Whether durations are rounded because there would be too many distinct ones.
    """

    frame: pd.DataFrame
    is_rounded: bool = False

    @classmethod
    def of(cls, columns: Mapping[str, Array | Codes]) -> Rows:
        """Return one row per trace, in their order; codes as categories, so that missing text is a missing value."""
        series = {name: each.series() if isinstance(each, Codes) else each for name, each in columns.items()}
        return cls(pd.DataFrame(series).assign(**{OFTEN: np.int64(1)}))

    def plus(self, other: Rows) -> Rows:
        """Return the distinct rows of two parts."""
        both = pd.concat([self.frame, other.frame], ignore_index=True)
        return Rows(both, self.is_rounded or other.is_rounded).distinct()

    def distinct(self) -> Rows:
        """Return the distinct rows; those with too many different durations with rounded ones."""
        exact = self._rounded() if self.is_rounded else self
        found = Rows(_counted(exact.frame), self.is_rounded)
        is_too_long = TOOK in found.frame and len(found.frame) > _MOST and not self.is_rounded
        return Rows(_counted(found._rounded().frame), is_rounded=True) if is_too_long else found

    def one_by_one(self) -> pd.DataFrame:
        """Return one row per trace again, without the number."""
        frame, often = self.frame, self.frame[OFTEN].to_numpy()
        each = frame if (often == 1).all() else frame.loc[frame.index.repeat(often)].reset_index(drop=True)
        return each.drop(columns=OFTEN)

    def _rounded(self) -> Rows:
        """Return the rows with durations rounded in their logarithm; NaN stays."""
        mantissa, exponent = np.frexp(self.frame[TOOK].to_numpy())
        took = np.ldexp(np.round(mantissa * _STEPS) / _STEPS, exponent)
        return Rows(self.frame.assign(**{TOOK: took}), is_rounded=True)


def _counted(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the distinct rows with the number of traces of each; text that was a category is text."""
    texts = [name for name in rows if isinstance(rows[name].dtype, pd.CategoricalDtype)]
    keys = [name for name in rows if name != OFTEN]
    found = rows.groupby(keys, dropna=False, observed=True)[[OFTEN]].sum().reset_index()
    return found.astype(dict.fromkeys(texts, object))
