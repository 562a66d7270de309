"""Exceptions, as a tree.

::

    TracekitError
      LoadError      the source could not be read in any, or in the given, format    .source .record .code
      SchemaError    the frame is not a table of spans                               .missing .found
      PullError      a request to a backend failed                                   .operation .request_id
      FilterError    the filter expression does not parse                            .expression .position
      RenderError    a view or a report could not be made

Invalid arguments are a ``ValueError`` or ``TypeError``.  Every message states what is wrong, where, and what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


MISSHAPEN = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""Exceptions that converting one record raises if a value has the wrong type."""


class TracekitError(Exception):
    """Base class of all exceptions that tracekit defines.

    Examples
    --------
    >>> try:
    ...     shop.where("durtion_ns > 5")
    ... except tk.TracekitError as error:
    ...     print(type(error).__name__)
    FilterError
    """


class LoadError(TracekitError):
    """The source could not be read.

    Parameters
    ----------
    message
        Error text: what is wrong, where, and what to do.
    source
        File name, or a label such as ``frame``.
    record
        Number of the record (line, message, item) in the source, counted from 1.
    code
        The code of the issue catalogue (``FILE_EMPTY``, ``JSON_SYNTAX``, ...).

    Examples
    --------
    >>> try:
    ...     tk.read(b"")
    ... except tk.LoadError as error:
    ...     print(error.code, error.source)
    FILE_EMPTY <bytes>
    """

    def __init__(self, message: str, *, source: str = "", record: int | None = None, code: str = "") -> None:
        super().__init__(message)
        self.source = source
        self.record = record
        self.code = code


class SchemaError(TracekitError):
    """A frame is not a table of spans.

    Parameters
    ----------
    message
        Error text: what is wrong, where, and what to do.
    missing
        The missing columns.
    found
        The columns of the frame.

    Examples
    --------
    >>> try:
    ...     tk.TraceSet.from_spans(pd.DataFrame({"trace_id": ["a1"], "name": ["GET /"]}))
    ... except tk.SchemaError as error:
    ...     print(error.missing)
    ('span_id', 'start_ns', 'end_ns')
    """

    def __init__(self, message: str, *, missing: Sequence[str] = (), found: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.missing = tuple(missing)
        self.found = tuple(found)


class PullError(TracekitError):
    """A request to a backend failed.

    Parameters
    ----------
    message
        Error text: what is wrong, where, and what to do.
    operation
        The API operation.
    request_id
        The request id, for AWS support; empty for other backends.
    """

    def __init__(self, message: str, *, operation: str = "", request_id: str = "") -> None:
        super().__init__(message)
        self.operation = operation
        self.request_id = request_id


class FilterError(TracekitError):
    """A filter expression does not parse, or contains an unknown column.

    Parameters
    ----------
    message
        Error text: what is wrong, where, and what to do.
    expression
        The whole expression.
    position
        Zero-based character position of the error in the expression.

    Examples
    --------
    >>> try:
    ...     shop.where("is_error and durtion_ns > 5")
    ... except tk.FilterError as error:
    ...     print(error.expression[error.position :])
    durtion_ns > 5
    """

    def __init__(self, message: str, *, expression: str = "", position: int = 0) -> None:
        super().__init__(message)
        self.expression = expression
        self.position = position


class RenderError(TracekitError):
    """A view or a report could not be made.

    Examples
    --------
    >>> try:
    ...     tk.report(shop, "no-such-folder/shop.html")
    ... except tk.RenderError as error:
    ...     print(str(error).partition(",")[0])
    expected the path of a file in an existing folder
    """
