"""Log lines that only failing requests have, and that the baseline does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.analysis.logs.match import BY_ID
from tracekit.checks.comparison import FDR
from tracekit.findings import Estimate, Finding
from tracekit.redaction.texts import redacted
from tracekit.stats.weighted_rates import clustered_rates
from tracekit.text import clean, count, interval, plural, ratio, round_ratio, shortened

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.checks.case import Case
    from tracekit.checks.logs.result import Logs
    from tracekit.columns import Array

CHECK: Final = "new_log_lines"
_NAMED: Final = 3  # templates that are named in a sentence
_LONGEST: Final = 100  # characters of a template in a sentence
_LARGE: Final = 0.1  # of the failing requests at least (95%): a warning
_SEVERE: Final = frozenset({"WARN", "ERROR", "FATAL"})


def new_log_lines(case: Case) -> list[Finding]:
    """Return the log templates that are new and go with failing requests, where that is significant.

    A template counts if the baseline does not have it although it has lines of the service, and if failing requests
    have it more often than others.  Only lines joined by id are used: a difference between clocks is no evidence.
    Formula and source: ``analysis.logs.new_templates``.
    """
    found = case.logs
    if found is None or not len(found.new):
        return []
    table = found.new[found.new["is_significant"]].reset_index(drop=True)
    if table.empty:
        return []
    template = str(table["template"].iloc[0])
    table = table.assign(template=redacted(table["template"].astype(str).tolist()))
    named = [_name(row) for _, row in table.head(_NAMED).iterrows()]
    rest = f" and {len(table) - _NAMED} more" * (len(table) > _NAMED)
    top = table.iloc[0]
    share = _share(found, top, template, case.confidence)
    limits = interval(share.low, share.high, ratio, confidence=case.ci)
    words = f"{plural(len(table), 'new log template')} in failing requests: {', '.join(named)}{rest}."
    text = f"{words} The first is in {ratio(share.value)} of the failing requests with lines of its service ({limits})."
    source = found.source_code
    is_large = share.low >= _LARGE and top["level"] in _SEVERE
    return [
        Finding(
            CHECK,
            "warning" if is_large else "notice",
            text,
            share,
            table,
            _exemplars(found, template),
            ("log lines of both sides were collected in the same way",),
            remedy=f"Read the lines of an exemplar trace: tk.logs(traces, {source}).of(trace_id).",
            code=f"tk.logs(traces, {source}, baseline=before).new",
            method=(
                f"Absent from the baseline, and more frequent in failing requests than in others (false discovery rate "
                f"{round_ratio(FDR)}); lines joined by id."
            ),
        )
    ]


def _name(row: pd.Series) -> str:
    """Return a template in words, with its counts."""
    parts = [row["service_name"], row["level"]]
    place = " ".join(clean(part, limit=60) for part in parts if isinstance(part, str))
    template = shortened(clean(row["template"]), _LONGEST)
    of = f"{count(row['failed_count'])} of {count(row['covered_failed_count'])} failing"
    others = row["trace_count"] - row["failed_count"], row["covered_count"] - row["covered_failed_count"]
    return f"{place} `{template}` ({of} and {count(others[0])} of {count(others[1])} other traces)".lstrip()


def _share(found: Logs, top: pd.Series, template: str, confidence: float) -> Estimate:
    """Return the weighted share of failing requests with lines of a service that have a template."""
    lines = found.lines[found.lines["match"].isin(BY_ID).to_numpy()]
    service = lines["service_name"].astype(object)
    is_there = service == top["service_name"] if isinstance(top["service_name"], str) else service.isna()
    mine = lines[is_there.to_numpy(bool)]
    trace = mine["trace_id"].cat.codes.to_numpy(np.int64)
    covered = np.unique(trace[_is_failed(found)[trace]])
    has_it = np.isin(covered, trace[(mine["template"] == template).to_numpy()])
    group = np.zeros(len(covered), np.int64)
    share = clustered_rates(group, covered, has_it, found.traces.weights.value, 1, confidence=confidence)
    return Estimate(float(share.ratio[0]), "ratio", float(share.low[0]), float(share.high[0]), len(covered))


def _is_failed(found: Logs) -> Array:
    """Return which traces have a root that failed."""
    return np.asarray(found.traces.is_error[found.traces.forest.root_row])


def _exemplars(found: Logs, template: str) -> tuple[str, ...]:
    """Return the first failing traces with a template."""
    lines = found.lines
    chosen = (lines["template"] == template) & lines["match"].isin(BY_ID)
    trace = np.unique(lines["trace_id"].cat.codes.to_numpy(np.int64)[chosen.to_numpy()])
    return tuple(found.traces.trace_ids[at] for at in trace[_is_failed(found)[trace]][:5])
