"""Names of groups: what ``by=``, conditions and ``TraceSet.attribute`` call a column, an attribute or a resource.

A name is one of these, the first that exists:

* a column of ``spans``: ``service_name``;
* an attribute key as recorded, of the span or else of its resource: ``app.customer.tier``;
* ``resource.<key>``: the attribute of the resource only;
* ``request.<name>``: one value per trace, wherever in the trace it was recorded: that of the root span, else of the
  span with the smallest depth that has one, the earliest of several.  ``request.operation`` is the endpoint.

Instead of a name, a Series aligned with spans (``span_row``, or one entry per span), or one indexed by trace id.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tracekit import frames, schema
from tracekit.attributes import Codes, pick
from tracekit.derived import CODED
from tracekit.filters import by_plain_id
from tracekit.on_demand import pd

if TYPE_CHECKING:
    from tracekit.traces import TraceSet

Key: TypeAlias = "str | pd.Series"
By: TypeAlias = "str | pd.Series | Sequence[str | pd.Series]"
REQUEST, RESOURCE = "request.", "resource."
KINDS = "a column of spans, an attribute key, resource.<key> or request.<key>"
_OWN_OF_PATHS = ("caller_service", "callee_service", "call_path", "edge_caller", "edge_callee")
_GUESSES = ("attributes.", "attribute.", "annotation.", "span.", "metadata.", "tags.")
_LISTED = 4
_SUBSETS, _PART = (".where(", ".between(", ".trace("), ".part("  # steps that leave traces out


class UnknownNameError(ValueError):
    """A name that no column and no attribute has.

    Parameters
    ----------
    name
        The name.
    near
        Names that exist and are spelled similarly.
    """

    def __init__(self, name: str, near: list[str]) -> None:
        self.near = near
        advice = "traces.attributes['key'].unique() lists the keys"
        if near:
            advice = f"did you mean {', '.join(near)}?"
        elif name in _OWN_OF_PATHS:
            advice = f"{name} is known to critical_path(traces) only"
        super().__init__(f"expected {KINDS}, found {name!r}; {advice}")


def named(by: By) -> dict[str, Key]:
    """Return the names that a ``by`` argument contains, in order, each with what it refers to.

    Examples
    --------
    >>> named(["service_name", pd.Series(["gold"], name="tier")]).keys()
    dict_keys(['service_name', 'tier'])
    """
    items: list[Any] = [by] if isinstance(by, str) or not isinstance(by, Sequence) else list(by)
    found: dict[str, Key] = {}
    for item in items:
        if not (isinstance(item, str) or isinstance(item, pd.Series)):  # noqa: SIM101 - a name needs no pandas
            message = f"expected a name, a Series or a list of these to group by, found {type(item).__name__}"
            raise TypeError(f"{message}; names are {KINDS}")
        name = item if isinstance(item, str) else "group" if item.name is None else str(item.name)
        if name in found and not (isinstance(item, str) and isinstance(found[name], str)):
            raise ValueError(f"expected groupings with different names, found {name!r} twice; rename one of the Series")
        found[name] = item
    return found


def columns_of(traces: TraceSet, by: By) -> dict[str, Codes]:
    """Return for each name one code per span."""
    return {name: column(traces, key) for name, key in named(by).items()}


def column(traces: TraceSet, key: Key) -> Codes:
    """Return one code per span for a name or Series; ``UnknownNameError`` if there is no such name."""
    if isinstance(key, str) and key in CODED:
        return traces.codes(key)
    whole = of_traces(traces, key)
    if whole is not None:
        return whole.take(traces.forest.trace)
    if not isinstance(key, str):
        return _of_spans(key, len(traces.columns.spans))
    if key in schema.names("spans"):
        return _numbered(frames.span_column(traces.lookup, traces.forest, key))
    found = _recorded(traces, key)
    if found is None:
        raise UnknownNameError(key, near(traces, key))
    return found


def of_traces(traces: TraceSet, key: Key) -> Codes | None:
    """Return one code per trace for a name or Series that has one value per trace, else None."""
    if not isinstance(key, str):
        return _by_id(traces, key) if key.index.name == "trace_id" else None
    if key == "trace_id":
        return Codes(np.arange(len(traces)), traces.trace_ids)
    if not key.startswith(REQUEST) or _has_key(traces, key):
        return None
    name = key.removeprefix(REQUEST)
    try:
        return _nearest_root(traces, column(traces, name))
    except UnknownNameError:
        raise UnknownNameError(key, near(traces, key)) from None


def values(traces: TraceSet, name: str) -> pd.Series:
    """Return a name as a Series aligned with ``spans``: columns as in ``spans``, all others as text."""
    if name in schema.names("spans"):
        return frames.span_column(traces.lookup, traces.forest, name)
    series = column(traces, name).series()
    series.index.name = "span_row"
    return series.rename(name)


def spans_by_name(traces: TraceSet) -> pd.DataFrame:
    """Return ``spans`` for functions of the user: ``frame["request.app.tier"]`` finds attributes, too."""
    from tracekit.spans_by_name import SpansByName  # noqa: PLC0415 - is a DataFrame, and builds on this module

    return SpansByName.of(traces)


def near(traces: TraceSet, name: str) -> list[str]:
    """Return names that exist and are spelled similarly."""
    keys = [key for key in traces.columns.kv.keys if _has_key(traces, key) or _is_left_out(traces, key)]
    prefix = next((prefix for prefix in (REQUEST, RESOURCE) if name.startswith(prefix)), "")
    bare = name.removeprefix(prefix)
    for guess in _GUESSES:
        meant = bare.removeprefix(guess)
        if meant != bare and (meant in keys or meant in schema.names("spans")):
            return [prefix + meant]
    pool = keys if prefix == RESOURCE else [*schema.names("spans"), *keys]
    ends: dict[str, list[str]] = {}
    for key in keys:
        ends.setdefault(key.rpartition(".")[2], []).append(key)
    alike = difflib.get_close_matches(bare, [*pool, *ends], _LISTED)
    found = [*ends.get(bare, []), *(other for one in alike for other in ([one] if one in pool else ends[one]))]
    return [prefix + other for other in dict.fromkeys(found)][:_LISTED]


def _has_key(traces: TraceSet, key: str) -> bool:
    """Return whether a span or a resource has an attribute with this key."""
    look = traces.lookup
    return any(len(index.of(key)[0]) > 0 for index in (look.by_key, look.resources_by_key))


def _recorded(traces: TraceSet, key: str) -> Codes | None:
    """Return an attribute of the spans or else their resources, or None if none has it."""
    look, resource = traces.lookup, traces.columns.spans.resource
    if _has_key(traces, key):
        resources = look.resources_by_key.codes_of((key,))
        own = look.by_key.codes_of((key,))
        if not resources.labels:
            return own
        return pick([own, resources.take(resource)])[0] if own.labels else resources.take(resource)
    bare = key.removeprefix(RESOURCE)
    found = look.resources_by_key.codes_of((bare,)) if bare != key else None
    if found is not None and found.labels:
        return found.take(resource)
    return Codes(np.full(len(resource), -1, np.int32), []) if _is_left_out(traces, key) else None


def _is_left_out(traces: TraceSet, key: str) -> bool:
    """Return whether a subset has no span with an attribute that its recording has; keys of events are no names."""
    kv, steps = traces.columns.kv, traces.steps
    if key not in kv.keys or not any(made.startswith((*_SUBSETS, _PART)) for made in steps):
        return False
    if any(made.startswith(_PART) for made in steps):  # its keys are those of the spans of all parts
        return True
    return not bool((kv.key[traces.columns.event_attributes.codes] == kv.keys.index(key)).any())


def _nearest_root(traces: TraceSet, found: Codes) -> Codes:
    """Return for every trace the value of its root span, else of the least deep span with one, the earliest of several.

    Rows are sorted by trace and start, so the smallest (depth, row) of each run of equal traces is the answer.
    """
    forest = traces.forest
    rows = np.flatnonzero(found.codes >= 0)
    codes = np.full(len(traces), -1, found.codes.dtype)
    if len(rows):
        trace = forest.trace[rows]
        first = np.flatnonzero(np.concatenate(([True], trace[1:] != trace[:-1])))
        place = forest.depth[rows].astype(np.int64) << 32
        place |= rows
        place[rows == forest.root_row[trace]] &= 0xFFFF_FFFF  # a root inferred by a backend can be above the root span
        codes[trace[first]] = found.codes[np.minimum.reduceat(place, first) & 0xFFFF_FFFF]
    return Codes(codes, found.labels)


def _by_id(traces: TraceSet, series: pd.Series) -> Codes:
    """Return a Series indexed by trace id as one code per trace; traces that it does not contain are missing."""
    series = by_plain_id(series, traces.trace_ids)
    if series.index.has_duplicates:
        twice = series.index[series.index.duplicated()][0]
        raise ValueError(f"expected one value per trace to group by, found several for trace {twice}")
    place = series.index.get_indexer(pd.Index(traces.trace_ids))
    if len(place) and (place < 0).all():
        raise ValueError("expected a Series indexed by the ids of these traces, found none of them")
    numbered = _numbered(series)
    return Codes(np.append(numbered.codes, -1)[place], numbered.labels)


def _of_spans(series: pd.Series, count: int) -> Codes:
    """Return a Series of spans as one code per span; ValueError if it is not aligned with them."""
    rows = pd.RangeIndex(count)
    if series.index.name == "span_row" and not series.index.equals(rows):
        series = series.sort_index()
    if len(series) != count or (series.index.name == "span_row" and not series.index.equals(rows)):
        message = f"expected a Series with one value for each of {count} spans or indexed by trace id to group by"
        raise ValueError(f"{message}, found {len(series)} values; traces.attribute(name) returns an aligned one")
    return _numbered(series)


def _numbered(series: pd.Series) -> Codes:
    """Return values as codes, with their text as labels."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        return Codes(np.asarray(series.cat.codes, np.int32), [_text(label) for label in series.cat.categories])
    codes, found = pd.factorize(series, sort=False)
    return Codes(codes.astype(np.int32), [_text(value) for value in found])


def _text(value: object) -> str:
    """Return a value as text, booleans as attributes spell them."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, pd.Timestamp) else str(value)
