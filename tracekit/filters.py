"""Filter expressions over columns of spans: parsed first, then evaluated on the columns that they name."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import pandas as pd

from tracekit import schema
from tracekit.errors import FilterError

if TYPE_CHECKING:
    from collections.abc import Callable


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
