"""Comparison with critical-path attributes that another tool wrote, such as a collector's processor."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracekit.findings import Shown
from tracekit.on_demand import pd
from tracekit.readable_tables import as_html

if TYPE_CHECKING:
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.columns import Array

ON_PATH, OWN, TOTAL = (
    f"critical_path.{name}" for name in ("is_on_path", "exclusive_duration_ns", "inclusive_duration_ns")
)
VERDICTS = ("agrees", "only marked", "only here", "other time")


@dataclass(frozen=True, repr=False)
class PathMarks(Shown):
    """Critical paths as marked by another tool, compared span by span.

    Parameters
    ----------
    spans
        One row per span of a trace that has marks: ``trace_id``, ``span_id``, ``span_row``, ``service_name``,
        ``operation``, ``is_marked``, ``on_path``; ``marked_time_ns`` and ``marked_total_ns``, missing where not
        recorded; ``path_time_ns`` and ``path_total_ns``; ``verdict``: agrees, only marked, only here, or other time (on
        both paths, with a different self time).
    traces
        One row per trace that has marks: ``trace_id``, ``span_count``, ``agreeing_count``, ``agreement_ratio``,
        ``marked_time_ns`` and ``path_time_ns``, sums of self times, ``moved_ns``, path time attributed to a different
        span, ``is_equal``.
    prefix
        Prefix of the attribute ``critical_path.is_on_path``.
    unmarked_trace_count
        Traces without any mark; excluded.
    unreadable_count
        Marks that are neither true nor false; ignored.

    Examples
    --------
    >>> spans = pd.DataFrame({"verdict": ["agrees", "only here"]})
    >>> traces = pd.DataFrame({"path_time_ns": [200], "moved_ns": [10]})
    >>> PathMarks(spans, traces, "cgx.", 0, 0)
    PathMarks(cgx.critical_path: 1 of 2 spans agree, 5.0% of path time differs, 1 traces)
    """

    spans: pd.DataFrame
    traces: pd.DataFrame
    prefix: str
    unmarked_trace_count: int
    unreadable_count: int

    @property
    def differences(self) -> pd.DataFrame:
        """The spans that do not agree."""
        return self.spans[self.spans["verdict"] != VERDICTS[0]]

    def __repr__(self) -> str:
        agreed = f"{int((self.spans['verdict'] == VERDICTS[0]).sum()):,} of {len(self.spans):,} spans agree"
        total = int(self.traces["path_time_ns"].sum())
        moved = f", {self.traces['moved_ns'].sum() / total:.1%} of path time differs"
        notes = f", {len(self.traces):,} traces"
        notes += f", {self.unmarked_trace_count:,} without marks" * bool(self.unmarked_trace_count)
        notes += f", {self.unreadable_count:,} marks unreadable" * bool(self.unreadable_count)
        return f"PathMarks({self.prefix}critical_path: {agreed}{moved * bool(total)}{notes})"

    def _repr_html_(self) -> str:
        worst = as_html(self.traces.nlargest(10, "moved_ns"))
        return f"<p>{html.escape(repr(self))}</p>{worst}"


def marks(path: CriticalPath, *, prefix: str | None = None) -> PathMarks:
    """Return how critical-path attributes written by another tool agree with these paths.

    In a trace with marks, a span without one is not on the marked path: the OpenTelemetry collector's coralogix
    processor marks only those that are.  It walks every root separately, clips children that outlive their parents, and
    does not chain siblings that touch; ``critical_path(traces, scope="roots", skew="off", overflow="clip",
    touching=False)`` does the same. The remaining differences, ties and consumers under producers, are intended.
    """
    chosen = _prefix(path, prefix)
    index, count = path.source.lookup.by_key, path.tree.span_count
    codes, labels = index.codes_of((chosen + ON_PATH,))
    is_marked = np.array([label.lower() == "true" for label in labels] + [False])[codes]
    is_unreadable = np.array([label.lower() not in {"true", "false"} for label in labels] + [False])[codes]
    trace = path.tree.trace[:count]
    has_marks = np.bincount(trace[codes >= 0], minlength=len(path.source)) > 0
    rows = np.flatnonzero(has_marks[trace])
    own, total = (_numbers(index.numbers_of((chosen + key,)), rows, is_marked[rows]) for key in (OWN, TOTAL))
    marked = path.spans.iloc[rows]
    spans = marked[["trace_id", "span_id"]].assign(span_row=rows, service_name=marked["service_name"])
    spans = spans.assign(
        operation=marked["operation"],
        is_marked=is_marked[rows],
        on_path=path.on_path[rows],
        marked_time_ns=own,
        marked_total_ns=total,
        path_time_ns=path.own_ns[rows],
        path_total_ns=path.total_ns[rows],
    ).reset_index(drop=True)
    spans["verdict"] = _verdicts(spans)
    return PathMarks(spans, _by_trace(spans), chosen, int((~has_marks).sum()), int(is_unreadable.sum()))


def _prefix(path: CriticalPath, prefix: str | None) -> str:
    """Return the prefix of the marks."""
    index = path.source.lookup.by_key
    ends = [key.removesuffix(ON_PATH) for key in index.kv.keys if key.endswith(ON_PATH)]
    found = sorted(end for end in ends if (not end or end.endswith(".")) and len(index.of(end + ON_PATH)[0]))
    if prefix is None and len(found) == 1:
        return found[0]
    if prefix is not None and prefix in found:
        return prefix
    known = ", ".join(repr(end) for end in found) or "none"
    wanted = "an attribute <prefix>" + ON_PATH if prefix is None else f"an attribute {prefix}{ON_PATH}"
    advice = "; choose one: path.marks(prefix=...)" if found else "; a collector's processor writes them"
    raise ValueError(f"expected spans with {wanted}, found prefixes: {known}{advice}")


def _numbers(found: tuple[Array, Array], rows: Array, is_marked: Array) -> pd.api.extensions.ExtensionArray:
    """Return numbers of marked spans as Int64: missing where not recorded, 0 for spans off the marked path."""
    values, known = (column[rows] for column in found)
    return pd.arrays.IntegerArray(np.where(is_marked & known, values, 0).astype(np.int64), is_marked & ~known)


def _verdicts(spans: pd.DataFrame) -> pd.Categorical[str]:
    """Return the verdict about every span."""
    marked, here = spans["is_marked"].to_numpy(bool), spans["on_path"].to_numpy(bool)
    other = (spans["marked_time_ns"] != spans["path_time_ns"]).to_numpy(bool, na_value=False)
    codes = np.where(marked != here, np.where(marked, 1, 2), np.where(marked & other, 3, 0))
    return pd.Categorical.from_codes(codes, pd.Index(VERDICTS))


def _by_trace(spans: pd.DataFrame) -> pd.DataFrame:
    """Return the agreement of every trace."""
    known = spans.assign(
        agreeing=spans["verdict"] == VERDICTS[0],
        distance=(spans["marked_time_ns"] - spans["path_time_ns"]).abs(),
    )
    grouped = known.groupby("trace_id", sort=False)
    table = grouped.agg(
        span_count=("span_id", "size"),
        agreeing_count=("agreeing", "sum"),
        marked_time_ns=("marked_time_ns", "sum"),
        path_time_ns=("path_time_ns", "sum"),
        moved_ns=("distance", "sum"),
    ).reset_index()
    table["moved_ns"] = (table["moved_ns"] + (table["marked_time_ns"] - table["path_time_ns"]).abs()) // 2
    table.insert(3, "agreement_ratio", table["agreeing_count"] / table["span_count"])
    return table.assign(is_equal=table["agreeing_count"] == table["span_count"])
