"""The compiled scanner: the fast lane of reading, where it could be built; the Python lane gives the same result.

``README.md`` in this folder explains the C++ code and how to build it.  Only this module imports the extension.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from types import ModuleType

extension: ModuleType | None
try:
    from tracekit.loading.native import _scan as extension  # type: ignore[attr-defined, no-redef, unused-ignore]
except ImportError as error:
    extension = None
    _REASON = f"the extension was not built ({error}); install with a C++ compiler to build it"
else:
    _REASON = "the extension was built"

SWITCH = "TRACEKIT_LANE"
LANES = ("compiled", "python")


class Build(NamedTuple):
    """How this installation reads traces.

    Attributes
    ----------
    lane : str
        ``compiled`` or ``python``.
    reason : str
        Why it is this lane.
    compiler : str
        The compiler of the extension, empty without one.
    """

    lane: str
    reason: str
    compiler: str


def describe_build() -> Build:
    """Return whether traces are read by the compiled lane or by the Python lane, and why.

    Both lanes give the same spans; the numbers ``resource_id`` and ``scope_id``, and the order of ``resources`` and
    ``scopes``, may differ, so compare what they refer to.  The compiled lane is several times faster for OTLP, X-Ray,
    Jaeger and Zipkin v2 and is built on installation where there is a C++ compiler.  The environment variable
    ``TRACEKIT_LANE`` chooses: ``python``, or ``compiled``, which raises an error on reading where the extension is
    missing.

    Returns
    -------
    Build
        ``lane``, ``reason`` and ``compiler``.

    Raises
    ------
    ValueError
        ``TRACEKIT_LANE`` is neither empty nor a lane, or the lane is not there.

    Examples
    --------
    >>> describe_build().lane in ("compiled", "python")
    True
    """
    compiler: str = "" if extension is None else extension.COMPILER
    chosen = os.environ.get(SWITCH, "")
    if chosen not in {"", *LANES}:
        message = f"expected {SWITCH} to be {' or '.join(LANES)}, or not set, found {chosen!r}"
        raise ValueError(message)
    if chosen == "compiled" and extension is None:
        message = f"expected the compiled lane ({SWITCH}=compiled), found none: {_REASON}, or unset {SWITCH}"
        raise ValueError(message)
    lane = chosen or LANES[extension is None]
    return Build(lane, f"{SWITCH}={chosen}" if chosen else _REASON, compiler)


def compiled() -> Any:
    """Return the extension module if the compiled lane is to be used, else None."""
    return extension if describe_build().lane == "compiled" else None
