"""Selection of traces by masks, ids and times."""

from __future__ import annotations

import re
from bisect import bisect_left
from datetime import time
from typing import TYPE_CHECKING, Any, Final

from tracekit.on_demand import pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit import schema

_TIME_OF_DAY: Final = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?\s*(Z|UTC|[+-]\d{2}:?\d{2})?")


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


def plain_id(trace_id: object) -> str:
    """Return an id as lower-case hex digits: upper case, dashes and X-Ray's format (``1-5759e988-...``) are accepted.

    Examples
    --------
    >>> plain_id("1-5759E988-BD862E3FE1BE46A994272793")
    '5759e988bd862e3fe1be46a994272793'
    """
    return str(trace_id).lower().removeprefix("1-").replace("-", "")


def by_plain_id(series: pd.Series, ids: Sequence[str]) -> pd.Series:
    """Return a Series indexed by trace id with ids as those of a set; unchanged where it has them already."""
    return series if series.index.isin(ids).all() else series.set_axis(series.index.map(plain_id))


def position(trace_id: str, ids: Sequence[str]) -> int:
    """Return the position of an id or unique prefix in sorted ids; ValueError lists the nearest ids."""
    if not isinstance(trace_id, str):
        message = f"expected the id of a trace as text, found {type(trace_id).__name__}"
        raise TypeError(f"{message}; traces.trace_ids and the index of traces.summary contain them")
    wanted = plain_id(trace_id)
    at = bisect_left(ids, wanted)
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


def window_ns(start: Any, end: Any, times: schema.Array) -> tuple[int, int]:
    """Return [start, end) in ns; a time of day is on a date of the recording, and None is no limit.

    Parameters
    ----------
    start, end
        Times, times of day such as ``16:24``, or None.
    times
        Start times of the recording, in ns.

    Raises
    ------
    ValueError
        Not a time, a time of day that occurs several times, a window that ends before it starts, or one that is outside
        the recording; one that only touches it is empty.
    """
    first, last = (int(times.min()), int(times.max())) if len(times) else (0, 0)
    low = first if start is None else _instant(start, first, last)
    high = last + 1 if end is None else _instant(end, first, last)
    found = f"{'the start' if start is None else start} to {'the end' if end is None else end}"
    if len(times) and (high < first or low > last + 1):
        raise ValueError(f"expected a window within {spelled(first, last)}, the period recorded, found {found}")
    if high < low:
        raise ValueError(f"expected an end after the start, found {found}")
    return low, high


def spelled(first: int, last: int) -> str:
    """Return a period in UTC, to the second, without the second date if it equals the first."""
    low, high = pd.Timestamp(first), pd.Timestamp(last)
    return f"{low:%Y-%m-%d %H:%M:%S} to {high.strftime('%Y-%m-%d %H:%M:%S'[9 * (low.date() == high.date()) :])} UTC"


def _instant(edge: Any, first: int, last: int) -> int:
    """Return a time in ns; a time of day on the date of the recording, or the date nearest to it."""
    is_clock = isinstance(edge, time) or (isinstance(edge, str) and _TIME_OF_DAY.fullmatch(edge.strip()))
    if not is_clock:
        return instant_ns(edge)
    try:
        instant_ns(f"2000-01-01 {edge}")
    except ValueError as error:
        raise ValueError(f"expected a time such as 16:24 or 2026-11-21T16:24, found {edge!r}") from error
    day = pd.Timedelta(days=1)
    dates = pd.date_range(pd.Timestamp(first).floor("D") - day, pd.Timestamp(last).floor("D") + day, freq="D")
    found = [instant_ns(f"{date:%Y-%m-%d} {edge}") for date in dates]
    inside = [moment for moment in found if first <= moment <= last]
    if len(inside) > 1:
        period = spelled(first, last)
        raise ValueError(f"expected a date with the time {edge!s}, which occurs {len(inside)} times in {period}")
    return min(found, key=lambda moment: max(first - moment, moment - last, 0))
