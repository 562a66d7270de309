"""What chooses traces: expressions over columns of spans, masks, ids and times.

Expressions are parsed first, then evaluated on the columns that they name.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tracekit import schema
from tracekit.errors import FilterError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def evaluate(expression: str, column: Callable[[str], pd.Series]) -> Any:
    """Return the mask of an expression.

    Parameters
    ----------
    expression
        A condition as ``pandas.DataFrame.eval`` takes it, over columns of ``schema.SPANS``.
    column
        Gives one column by name; only those that the expression names are asked for.

    Returns
    -------
    pandas.Series of bool
        One entry a span.

    Raises
    ------
    FilterError
        The expression does not parse, names a column that is not there, or is no condition.

    Examples
    --------
    >>> evaluate("depth > 0", lambda name: pd.Series([0, 1], name=name)).tolist()
    [False, True]
    >>> evaluate("dept > 0", lambda name: pd.Series([0, 1], name=name))
    Traceback (most recent call last):
    ...
    tracekit.errors.FilterError: expected a column of spans, found 'dept' at 0 of 'dept > 0'; see tracekit.schema.SPANS
    """
    try:
        tree = ast.parse(expression, mode="eval")
    except (SyntaxError, ValueError) as error:  # ValueError: a NUL
        at = (getattr(error, "offset", 0) or len(expression) + 1) - 1
        reason = getattr(error, "msg", error)
        message = f"expected a condition over columns of spans, found {expression!r}: {reason} at {at}"
        raise FilterError(message, expression=expression, position=at) from error
    used = {node.id: node.col_offset for node in ast.walk(tree) if isinstance(node, ast.Name)}
    known = set(schema.names("spans"))
    for name, at in used.items():
        if name not in known:
            message = f"expected a column of spans, found {name!r} at {at} of {expression!r}; see tracekit.schema.SPANS"
            raise FilterError(message, expression=expression, position=at)
    try:
        mask = pd.DataFrame({name: column(name) for name in used}).eval(expression, engine="python")
    except Exception as error:
        message = f"expected a condition over columns of spans, found {expression!r}: {error}"
        raise FilterError(message, expression=expression, position=0) from error
    if getattr(mask, "dtype", None) not in (bool, "bool", "boolean"):
        message = f"expected a condition over columns of spans, found {expression!r}, which is no condition"
        raise FilterError(message, expression=expression, position=0)
    return mask


def truths(mask: Any) -> pd.Series:
    """Return a mask as a Series of truth values, missing ones false."""
    series = pd.Series(mask)
    try:
        return series.astype("boolean").fillna(False).astype(bool)  # noqa: FBT003 - pandas
    except (TypeError, ValueError) as error:
        message = f"expected a mask of truth values, found {series.dtype}: {series.head(3).tolist()}"
        raise TypeError(message) from error


def of_spans(mask: pd.Series, count: int) -> schema.Array:
    """Return a mask of so many spans in the order of their rows; ValueError for one of other spans.

    Examples
    --------
    >>> of_spans(pd.Series([True, False], index=pd.Index([1, 0], name="span_row")), 2).tolist()
    [False, True]
    """
    has_rows = mask.index.name == "span_row"
    mask = mask.sort_index() if has_rows else mask
    if len(mask) != count or (has_rows and not mask.index.equals(pd.RangeIndex(count))):
        message = f"expected a mask of {count} spans or a Series by trace id, found one of {len(mask)}"
        raise ValueError(message)
    return mask.to_numpy(bool)


def position(trace_id: str, ids: Sequence[str]) -> int:
    """Return which of the sorted ids is this one, or the only one that begins so; ValueError names the nearest.

    Examples
    --------
    >>> position("B", ["a1", "b2", "c3"])
    1
    """
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
    """Return nanoseconds since the epoch; a time without a zone is UTC, ValueError for what is no time.

    Examples
    --------
    >>> instant_ns("1970-01-01T00:00:01+00:00"), instant_ns("1970-01-01 00:00:01")
    (1000000000, 1000000000)
    """
    moment = pd.Timestamp(edge)
    if pd.isna(moment):
        message = f"expected a time, found {edge!r}"
        raise ValueError(message)
    moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
    return int(moment.as_unit("ns").value)
