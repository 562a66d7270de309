"""Exceptions in sums: which services record which exceptions, how often, since when, and how long users wait for them.

Messages are reduced to templates (numbers, ids and quoted texts replaced), so that equal exceptions are grouped.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.occurrences import LATER, Firsts, Occurrences
from tracekit.redaction.apply import redacted_texts
from tracekit.redaction.keys import context_of
from tracekit.redaction.replace import CHOSEN, substitute
from tracekit.schema import Quality
from tracekit.stats.grouping import distinct_by, group_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Array
    from tracekit.redaction.policy import Policy
    from tracekit.traces import TraceSet

_READ, _LONGEST = 2000, 300  # characters of a message that are read, and kept
_TEMPLATES = (
    (re.compile(r"\s+"), " "),
    (re.compile(r"(?i)\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r'"[^"]*"|`[^`]*`|(?<!\w)\'[^\']*\'(?!\w)'), "<text>"),
    (re.compile(r"(?i)\b0x[0-9a-f]+\b"), "<hex>"),
    (re.compile(r"(?i)\b(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{6,}\b"), "<hex>"),
    (re.compile(r"\d+(?:[.:,]\d+)*"), "<n>"),
)
_MESSAGE = "exception.message"


class Exceptions(NamedTuple):
    """Exceptions in sums, and one whole message (the least) for each template that something was removed from."""

    found: Occurrences
    whole: dict[str, str]

    def __add__(self, other: Exceptions) -> Exceptions:  # type: ignore[override]  # not that of a tuple
        """Return those of both."""
        return Exceptions(self.found + other.found, _least([*self.whole.items(), *other.whole.items()]))


def message_template(message: str) -> str:
    """Return the message with its variable parts replaced, so that similar messages are equal."""
    text = message[:_READ].strip()
    for pattern, replacement in _TEMPLATES:
        text = pattern.sub(replacement, text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _redacted(messages: list[str], policy: Policy) -> list[str]:
    """Return exception messages without what a policy removes."""
    action = policy.action_of_key(_MESSAGE)
    if action is None:
        return redacted_texts(messages, policy, context=context_of(_MESSAGE))
    return [substitute(message, CHOSEN, action, policy) for message in messages]


def _least(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the least message of each template, which does not depend on the order of parts."""
    return dict(sorted(pairs, reverse=True))


def tabulate_exceptions(traces: TraceSet, skew: Any = "auto", policy: Policy | None = None) -> Exceptions:
    """Return the additive table behind ``Errors.exceptions`` for whole traces; ``skew`` as for ``critical_path``."""
    events, keys = traces.columns.events, traces.lookup.events_by_key
    kind, messages = (keys.codes_of((f"exception.{name}",)) for name in ("type", "message"))
    is_named = np.array([text == "exception" for text in traces.columns.texts] + [False])[events.name]
    shown = np.flatnonzero((is_named | (kind.codes >= 0)) & ~traces.is_inferred[events.span_row])
    span = events.span_row[shown]
    before = messages.labels
    after = before if policy is None else _redacted(before, policy)
    template = [message_template(message) for message in after]
    whole = [(to, old) for to, old, new in zip(template, before, after, strict=True) if old != new]
    distinct = {text: at for at, text in enumerate(dict.fromkeys(template))}
    number = np.array([*(distinct[text] for text in template), -1], np.int64)
    columns = {
        "service_name": traces.codes("service_name").take(span),
        "exception_type": kind.take(shown),
        "exception_message": (number[messages.codes[shown]], list(distinct)),
    }
    group, names = group_codes(columns, len(span))
    groups = int(group.max(initial=-1)) + 1
    spans = traces.columns.spans
    is_known = (spans.quality[span] & Quality.NO_START) == 0
    own = events.time_ns[shown]
    time = np.where(own != 0, own, np.where(is_known, spans.start_ns[span], LATER))
    path_time = np.zeros(groups, np.int64)
    if len(span):
        np.add.at(path_time, group, _path_time_ns(traces, skew)[span])
    sums = {
        "event_count": np.bincount(group, minlength=groups),
        "trace_count": distinct_by(group, traces.forest.trace[span], groups),
        "path_time_ns": path_time,
    }
    found = Occurrences.of(names, sums, Firsts.of(traces, group, span, groups, time, time != LATER))
    return Exceptions(found, _least(whole))


def exceptions_of(found: Occurrences) -> pd.DataFrame:
    """Return ``Errors.exceptions`` from the sums of all parts."""
    keys, sums = found.table.keys, found.table.sums
    table = pd.DataFrame(keys, index=pd.RangeIndex(len(found.table))).assign(
        event_count=sums["event_count"],
        trace_count=sums["trace_count"],
        **found.firsts.times,
        path_time_ns=sums["path_time_ns"] / np.maximum(sums["event_count"], 1),
        **found.firsts.exemplars,
    )
    return table.sort_values("event_count", ascending=False, kind="stable", ignore_index=True)


def _path_time_ns(traces: TraceSet, skew: Any) -> Array:
    """Return the critical-path time of every span with all spans below it."""
    path = critical_path(traces, skew=skew)
    return np.asarray(path.total_ns[: path.tree.span_count])
