"""Sampling rules as written in their source, and their problems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from tracekit.findings import Severity


class Written(NamedTuple):
    """A rule as written in its source.

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
    """A problem with sampling rules: check, severity, headline, remedy, the rules concerned, and other evidence."""

    check: str
    severity: Severity
    headline: str
    remedy: str
    rules: tuple[str, ...]
    evidence: pd.DataFrame | None = None
