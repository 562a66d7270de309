"""Findings as CloudWatch metrics, for alarms."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from tracekit.aws.access import EndpointError
from tracekit.aws.reader import Reader
from tracekit.errors import PullError
from tracekit.readable_tables import as_html

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tracekit.findings import Finding

_BATCH = 1000  # values per call; the API limit
_MAX_DIMENSIONS = 30
_UNITS = {"ratio": ("Percent", 100.0), "count": ("Count", 1.0), "ns": ("Microseconds", 1e-3), "bytes": ("Bytes", 1.0)}
_NAMESPACE = re.compile(r"[\w.\-/#:]{1,255}", re.ASCII)


@dataclass(frozen=True)
class Published:
    """The metrics that were sent to CloudWatch, or would be.

    Parameters
    ----------
    metrics
        One row per value: ``name``, ``value``, ``unit``, ``dimensions``.
    namespace
        Namespace of the metrics.
    call_count
        Number of ``PutMetricData`` calls.
    is_dry_run
        True if nothing was sent.

    Examples
    --------
    >>> late = tk.Finding("spans.lost", "warning", "6% are lost.", tk.Estimate(0.06, "ratio", 0.05, 0.07, n=900))
    >>> tk.publish_cloudwatch([late])
    Published(2 values for tracekit, not sent: send with dry_run=False)
    """

    metrics: pd.DataFrame
    namespace: str
    call_count: int = field(repr=False)
    is_dry_run: bool = field(repr=False)

    def __repr__(self) -> str:
        sent = "not sent: send with dry_run=False" if self.is_dry_run else f"sent in {self.call_count:,} calls"
        return f"Published({len(self.metrics):,} values for {self.namespace}, {sent})"

    def _repr_html_(self) -> str:
        return as_html(self.metrics)


def publish_cloudwatch(
    findings: Iterable[Finding],
    namespace: str = "tracekit",
    *,
    dimensions: Mapping[str, str] | None = None,
    at: datetime | None = None,
    dry_run: bool = True,
    session: Any = None,
    region: str | None = None,
    profile: str | None = None,
) -> Published:
    """Write findings to CloudWatch as metrics: a count per check and severity, and the value of each estimate.

    Parameters
    ----------
    findings
        Findings of any check.
    namespace
        Namespace of the metrics; not one of AWS.
    dimensions
        Dimensions in addition to ``Severity``, for example the service.
    at
        Time of the values; now by default.
    dry_run
        If true (the default), return the metrics without sending them.
    session, region, profile
        As in boto3.

    Returns
    -------
    Published
        ``.metrics`` has one row per value.

    Raises
    ------
    ValueError
        Invalid names.
    PullError
        A call failed; the message contains the number of values sent before.

    Notes
    -----
    Ratios are sent as percent, nanoseconds as microseconds, bytes as bytes; other units as ``None``.  A call sends up
    to 1000 values.  ``PutMetricData`` is the only write operation that tracekit calls.

    Examples
    --------
    >>> late = tk.Finding("spans.lost", "warning", "6% are lost.", tk.Estimate(0.06, "ratio", 0.05, 0.07, n=900))
    >>> tk.publish_cloudwatch([late]).metrics[["name", "value", "unit"]].to_numpy().tolist()
    [['spans.lost', 1.0, 'Count'], ['spans.lost.value', 6.0, 'Percent']]
    """
    if not _NAMESPACE.fullmatch(namespace) or namespace.lower().startswith("aws/"):
        raise ValueError(f"expected a namespace of letters, digits and .-_/#: that is not AWS's, found {namespace!r}")
    extra = dict(dimensions or {})
    if len(extra) >= _MAX_DIMENSIONS:
        raise ValueError(f"expected at most {_MAX_DIMENSIONS - 1} dimensions besides Severity, found {len(extra)}")
    for name, value in extra.items():
        if not (str(name).strip() and str(value).strip() and f"{name}{value}".isascii()):
            raise ValueError(f"expected dimensions as non-empty ASCII text, found {name!r}: {value!r}")
    rows = _rows(findings, extra)
    calls = 0 if dry_run or not rows else _send(rows, namespace, at or datetime.now(UTC), session, region, profile)
    return Published(pd.DataFrame(rows, columns=["name", "value", "unit", "dimensions"]), namespace, calls, dry_run)


def _rows(findings: Iterable[Finding], extra: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return a count per check and severity, and the value of each finite estimate."""
    counts: dict[tuple[str, str], int] = {}
    values: list[dict[str, Any]] = []
    for finding in findings:
        key = (finding.check, finding.severity)
        counts[key] = counts.get(key, 0) + 1
        estimate = finding.estimate
        if estimate is not None and abs(estimate.value) < float("inf"):
            unit, factor = _UNITS.get(estimate.unit, ("None", 1.0))
            dimensions = {"Severity": finding.severity, **extra}
            values.append(
                {
                    "name": f"{finding.check}.value",
                    "value": estimate.value * factor,
                    "unit": unit,
                    "dimensions": dimensions,
                }
            )
    totals = [
        {"name": check, "value": float(count), "unit": "Count", "dimensions": {"Severity": severity, **extra}}
        for (check, severity), count in counts.items()
    ]
    return [*totals, *values]


def _send(
    rows: list[dict[str, Any]], namespace: str, at: datetime, session: Any, region: str | None, profile: str | None
) -> int:
    """Send values and return the number of calls."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - heavy

    client = Reader(session, region=region, profile=profile).client("cloudwatch")
    calls = 0
    for low in range(0, len(rows), _BATCH):
        data = [
            {
                "MetricName": row["name"],
                "Value": row["value"],
                "Unit": row["unit"],
                "Timestamp": at,
                "Dimensions": [{"Name": str(name), "Value": str(text)} for name, text in row["dimensions"].items()],
            }
            for row in rows[low : low + _BATCH]
        ]
        try:
            client.put_metric_data(Namespace=namespace, MetricData=data)
        except (ClientError, BotoCoreError, OSError) as error:
            response = getattr(error, "response", {})
            problem = response.get("Error", {}).get("Code") or (
                str(error) if isinstance(error, EndpointError) else type(error).__name__
            )
            message = f"expected CloudWatch to accept {len(data):,} values, found {problem}; {low:,} were sent before"
            raise PullError(message, operation="PutMetricData") from None
        calls += 1
    return calls
