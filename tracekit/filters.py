"""Selection of traces by masks, ids and times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit import schema


def truths(mask: Any) -> pd.Series:
    """Return a mask as a boolean Series, missing values as false."""
    series = pd.Series(mask)
    try:
        return series.astype("boolean").fillna(False).astype(bool)  # noqa: FBT003 - pandas
    except (TypeError, ValueError) as error:
        message = f"expected a boolean mask, found {series.dtype}: {series.head(3).tolist()}"
        raise TypeError(message) from error


def of_spans(mask: pd.Series, count: int) -> schema.Array:
    """Return a mask of ``count`` spans in row order; ValueError for a mask of other spans."""
    has_rows = mask.index.name == "span_row"
    mask = mask.sort_index() if has_rows else mask
    if len(mask) != count or (has_rows and not mask.index.equals(pd.RangeIndex(count))):
        message = f"expected a mask of {count} spans or a Series indexed by trace id, found a mask of {len(mask)}"
        raise ValueError(message)
    return mask.to_numpy(bool)


def position(trace_id: str, ids: Sequence[str]) -> int:
    """Return the position of an id or unique prefix in sorted ids; ValueError lists the nearest ids."""
    wanted = trace_id.lower().removeprefix("1-").replace("-", "")
    at = int(np.searchsorted(ids, wanted))
    if at < len(ids) and ids[at].startswith(wanted) and wanted:
        several = at + 1 < len(ids) and ids[at + 1].startswith(wanted) and ids[at] != wanted
        if not several:
            return at
    near = ", ".join(ids[max(0, at - 1) : at + 2]) or "none: the set is empty"
    message = f"expected the id of one of {len(ids)} traces, found {trace_id!r}; nearest: {near}"
    raise ValueError(message)


def instant_ns(edge: Any) -> int:
    """Return nanoseconds since the epoch, UTC for a time without a zone; ValueError if it is not a time."""
    moment = pd.Timestamp(edge)
    if pd.isna(moment):
        message = f"expected a time, found {edge!r}"
        raise ValueError(message)
    moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
    return int(moment.as_unit("ns").value)
