"""Request counts: text tables, and responses of CloudWatch's GetMetricData."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tracekit.errors import MISSHAPEN
from tracekit.weights.counts import BALANCER

if TYPE_CHECKING:
    from collections.abc import Callable

_CLASS = re.compile(r"(?:HTTPCode_(?:Target|Backend)_)?([2345])XX(?:_Count|Error)?", re.IGNORECASE)
_BY_BALANCER = re.compile(r"HTTPCode_ELB_(?:([345])XX|\d+)(?:_Count)?", re.IGNORECASE)
_ALL = re.compile(r"\b(?:RequestCount|Invocations|Requests|Count)\b", re.IGNORECASE)
_FAILED = re.compile(r"\bErrors?\b", re.IGNORECASE)


def table_rows(text: str) -> pd.DataFrame:
    r"""Return a table separated by commas, semicolons or tabs; its index are the lines, the header is line 1."""
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    frame = pd.read_csv(io.StringIO(text), sep=separator, skip_blank_lines=False, skipinitialspace=True)
    frame.columns = pd.Index([str(name).strip().lower() for name in frame])
    frame.index = pd.RangeIndex(2, len(frame) + 2)
    return frame.dropna(how="all")


def metric_rows(text: str, add_issue: Callable[[int, str], None]) -> pd.DataFrame:
    """Return counts from a GetMetricData response saved as JSON.

    The label of a series contains what it counts: ``RequestCount``, ``Count`` or ``Invocations`` all requests,
    ``HTTPCode_Target_5XX_Count``, ``4XXError`` or ``Errors`` a status class; the rest of the label is the service.
    Classes are subtracted from the total, so that nothing is counted twice.  ``HTTPCode_ELB_5XX_Count`` etc. are the
    responses of the load balancer itself, which no application can trace: separate rows with the status
    ``elb 5xx``, never part of the total.  ``HTTPCode_ELB_502_Count`` and the other single codes are already included in
    them and skipped.
    """
    content = json.loads(text)
    pages = content if isinstance(content, list) else [content]
    rows: list[tuple[str, str | None, str, float]] = []
    listed = [page.get("MetricDataResults") if isinstance(page, dict) else None for page in pages]
    series = [one for page in listed for one in (page if isinstance(page, list) else [page])]
    for number, one in enumerate(series, 1):
        try:
            rows += _series(one, number, add_issue, is_last=number == len(series))
        except MISSHAPEN as error:
            add_issue(number, f"expected a series with Label, Timestamps and Values, found {one!r:.60}: {error!s:.100}")
    return _parted(pd.DataFrame(rows, columns=["time", "service", "what", "count"])) if rows else pd.DataFrame()


def _series(
    one: Any, number: int, add_issue: Callable[[int, str], None], *, is_last: bool
) -> list[tuple[str, str | None, str, float]]:
    """Return the counts of a series: time, service, what is counted, and count; raise for an invalid one."""
    label = str(one.get("Label") or one.get("Id"))
    state = one.get("StatusCode", "Complete")
    if state not in ("Complete", "PartialData") or one.get("Messages"):
        add_issue(number, f"series {label!r:.80}: {state!s:.40}: {one.get('Messages', '')!s:.200}")
    elif state == "PartialData" and is_last:
        add_issue(number, f"series {label!r:.80} is partial: get the next page (NextToken)")
    meant = _meaning(label)
    if meant is None:
        wanted = "RequestCount, Count, Invocations, Errors or a status class"
        add_issue(number, f"expected {wanted}, found {label!r:.80}: skipped")
        return []
    what, service = meant
    return [(_moment(at), service, what, _count(n)) for at, n in zip(one["Timestamps"], one["Values"], strict=True)]


def _moment(at: Any) -> str:
    """Return the time of a count as text; ValueError for any other type."""
    if not isinstance(at, str) or pd.isna(pd.Timestamp(at)):
        raise ValueError(f"expected a time as text, found {at!r:.40}")
    return at


def _count(value: Any) -> float:
    """Return a count; ValueError for an invalid one."""
    count = float(value)
    if not 0 <= count < np.inf:
        raise ValueError(f"expected a count of 0 or more, found {value!r:.40}")
    return count


def _meaning(label: str) -> tuple[str, str | None] | None:
    """Return what a series counts, and its service."""
    for pattern, what in ((_BY_BALANCER, None), (_CLASS, None), (_FAILED, "5xx"), (_ALL, "all")):
        if found := pattern.search(label):
            if pattern is _BY_BALANCER and not found[1]:
                return None
            rest = (label[: found.start()] + label[found.end() :]).strip(" /:-_") or None
            return what or f"{BALANCER * (pattern is _BY_BALANCER)}{found[1]}xx", rest
    return None


def _parted(rows: pd.DataFrame) -> pd.DataFrame:
    """Return counts by status class that sum to the total."""
    keys = rows["service"].fillna("")
    wide = rows.assign(service=keys).pivot_table(
        index=["time", "service"], columns="what", values="count", aggfunc="sum"
    )
    wide = wide.fillna(0.0)
    alone = wide[[name for name in wide if str(name).startswith(BALANCER)]]
    wide = wide.drop(columns=alone.columns)
    classes = [name for name in wide if name != "all"]
    if "all" in wide and classes:
        rest = wide["all"] - wide[classes].sum(axis=1)
        wrong = np.flatnonzero(rest < 0)
        if len(wrong):
            time, service = wide.index[wrong[0]]
            raise ValueError(
                f"expected at most as many requests of a status class as in total,"
                f" found {-rest.iloc[wrong[0]]:,.0f} more at "
                f"{time}{f' for {service}' if service else ''}; pass RequestCount and"
                " HTTPCode_Target_* of one load balancer"
            )
        name = "other" if {"2xx", "3xx"} & set(classes) else "2xx"
        wide[name] = rest
    if not classes and not alone.size:
        counts = wide["all"].rename("count").reset_index()
    else:
        parts: Any = (wide.drop(columns="all", errors="ignore") if classes else wide).join(alone).stack()  # noqa: PD013 - melt loses the index
        counts = parts.rename("count").rename_axis(["time", "service", "status"]).reset_index()
        counts = counts[(counts["status"] != "other") | (counts["count"] > 0)]
        counts["status"] = counts["status"].where(counts["status"] != "all", None)
        counts = counts.sort_values(["time", "service", "status"], ignore_index=True)
    return counts if keys.any() else counts.drop(columns="service")
