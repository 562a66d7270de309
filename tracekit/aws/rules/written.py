"""Sampling rules as somebody wrote them, and what can be wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from tracekit.findings import Severity


class Written(NamedTuple):
    """A rule as somebody wrote it.

    Examples
    --------
    >>> Written("refund", {"FixedRate": 1.0}).is_default
    False
    """

    name: str
    body: dict[str, Any]
    modified_at: str | None = None
    is_default: bool = False
    manifest: Mapping[str, Any] = {}


class Fault(NamedTuple):
    """Which check it is, how grave, what it says, what to do, the rules it is about, and other evidence than these."""

    check: str
    severity: Severity
    headline: str
    remedy: str
    rules: tuple[str, ...]
    evidence: pd.DataFrame | None = None
