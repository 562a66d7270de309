"""Columns as DataFrames: read-only views, built on first access."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tracekit import completeness, schema, semconv
from tracekit.attributes import Codes, KeyIndex, value
from tracekit.derived import CODED, Lookup, compact
from tracekit.on_demand import pd
from tracekit.schema import Quality, ValueType
from tracekit.stats.grouping import distinct_by
from tracekit.weights import Weights, probabilities

if TYPE_CHECKING:
    from tracekit.columns import Array, Columns
    from tracekit.forest import Forest
    from tracekit.ragged import Ragged


def hexes(*words: Array) -> Array:
    """Return ids of one or two 64-bit words as lower-case hex text.

    Examples
    --------
    >>> hexes(np.array([1], np.uint64), np.array([0xAB], np.uint64)).tolist()
    ['000000000000000100000000000000ab']
    """
    digits = np.column_stack(words).astype(">u8").tobytes().hex()
    size = 16 * len(words)
    return np.array([digits[i : i + size] for i in range(0, len(digits), size)], object)


def text(values: Array, missing: Array | None = None) -> pd.Series:
    """Return texts as a string column, missing where the mask is true."""
    series = pd.Series(values, dtype="str")
    return series if missing is None else series.mask(missing)


def masked(values: Array, missing: Array, dtype: Any) -> pd.Series:
    """Return numbers as a nullable column, missing where the mask is true."""
    return pd.Series(pd.array(values, dtype=dtype)).mask(missing)


def span_column(look: Lookup, forest: Forest, name: str) -> pd.Series:
    """Return one column of ``spans``.

    Parameters
    ----------
    look
        The columns.
    forest
        Their parents and depths.
    name
        One of ``schema.SPANS``.

    Returns
    -------
    pandas.Series
        Indexed by span row.
    """
    if name in CODED:
        codes = look.codes(name)
        series = codes.series()
    else:
        series = pd.Series(_PLAIN[name](look, forest))
    series.index.name = "span_row"
    return series.rename(name)


def spans(look: Lookup, forest: Forest) -> pd.DataFrame:
    """Return ``traces.spans``; see ``schema.SPANS``."""
    frame = pd.DataFrame({name: span_column(look, forest, name) for name in schema.names("spans")})
    frame.index.name = "span_row"
    return frame


def _bit(look: Lookup, bit: Quality) -> Array:
    return np.asarray((look.columns.spans.quality & bit) != 0)


def _time(look: Lookup, edge: str) -> pd.Series:
    missing = _bit(look, Quality.NO_START if edge == "start_ns" else Quality.NO_END)
    return masked(getattr(look.columns.spans, edge), missing, "Int64")


def _clock(look: Lookup, edge: str) -> pd.Series:
    missing = _bit(look, Quality.NO_START if edge == "start_ns" else Quality.NO_END)
    moments = pd.Series(getattr(look.columns.spans, edge).view("datetime64[ns]")).mask(missing)
    return moments.dt.tz_localize("UTC")


def _duration(look: Lookup) -> pd.Series:
    missing = _bit(look, Quality.NO_START) | _bit(look, Quality.NO_END)
    return masked(look.duration_ns, missing, "Int64")


def _status(look: Lookup) -> pd.Series:
    code, known = look.http_status
    known = known & (code >= 0) & (code <= np.iinfo(np.int16).max)
    return masked(np.where(known, code, 0).astype(np.int16), ~known, "Int16")


def _port(look: Lookup) -> pd.Series:
    inbound = look.any_of(schema.Kind.SERVER, schema.Kind.CONSUMER)
    callee, callee_known = look.by_key.numbers_of(semconv.CALLEE_PORT)
    caller, caller_known = look.by_key.numbers_of(semconv.CALLER_PORT)
    port, known = np.where(inbound, caller, callee), np.where(inbound, caller_known, callee_known)
    known = known & (port >= 0) & (port <= np.iinfo(np.int32).max)
    return masked(np.where(known, port, 0).astype(np.int32), ~known, "Int32")


def _cold(look: Lookup) -> pd.Series:
    is_recorded = look.by_key.first_of(semconv.COLD_START) >= 0
    return masked(look.truth(semconv.COLD_START), ~is_recorded, "boolean")


_PLAIN: dict[str, Any] = {
    "trace_id": lambda k, _: text(hexes(k.columns.spans.trace_hi, k.columns.spans.trace_lo)),
    "span_id": lambda k, _: text(hexes(k.columns.spans.span_id)),
    "parent_span_id": lambda k, _: text(hexes(k.columns.spans.parent_id), k.columns.spans.parent_id == 0),
    "parent_row": lambda _, f: f.parent_row,
    "parent_state": lambda _, f: Codes(f.state, list(schema.PARENT_STATES)).series(),
    "parent_is_remote": lambda k, _: masked(
        _bit(k, Quality.PARENT_REMOTE), ~_bit(k, Quality.PARENT_REMOTE_KNOWN), "boolean"
    ),
    "depth": lambda _, f: pd.array(f.depth, dtype="Int32"),
    "kind_inferred": lambda k, _: _bit(k, Quality.KIND_INFERRED),
    "start_ns": lambda k, _: _time(k, "start_ns"),
    "end_ns": lambda k, _: _time(k, "end_ns"),
    "duration_ns": lambda k, _: _duration(k),
    "start_time": lambda k, _: _clock(k, "start_ns"),
    "end_time": lambda k, _: _clock(k, "end_ns"),
    "time_resolution_ns": lambda k, _: k.columns.spans.resolution_ns,
    "is_error": lambda k, _: k.is_error,
    "http_response_status_code": lambda k, _: _status(k),
    "peer_port": lambda k, _: _port(k),
    "faas_coldstart": lambda k, _: _cold(k),
    "in_progress": lambda k, _: _bit(k, Quality.IN_PROGRESS),
    "inferred": lambda k, _: k.is_inferred,
    "trace_flags": lambda k, _: pd.array(k.columns.spans.flags, dtype="UInt32"),
    "sampling_ratio": lambda k, _: probabilities(k.columns.spans.trace_state, k.columns.texts),
    "dropped_attributes_count": lambda k, _: k.columns.spans.dropped_attributes,
    "dropped_events_count": lambda k, _: k.columns.spans.dropped_events,
    "dropped_links_count": lambda k, _: k.columns.spans.dropped_links,
    "resource_id": lambda k, _: k.columns.spans.resource,
    "scope_id": lambda k, _: k.columns.spans.scope,
    "source_id": lambda k, _: k.columns.spans.source,
    "record_number": lambda k, _: k.columns.spans.record_number,
    "byte_offset": lambda k, _: k.columns.spans.byte_offset,
    "quality": lambda k, _: k.columns.spans.quality,
}


def summary(look: Lookup, forest: Forest, weights: Weights) -> pd.DataFrame:
    """Return ``traces.summary``: one row per trace; see ``schema.SUMMARY``."""
    columns = look.columns
    count = len(forest.starts) - 1
    first = forest.starts[:-1]

    def total(mask: Array) -> Array:
        return np.bincount(forest.trace[mask], minlength=count)

    begun, ended = completeness.extents(look, forest)
    length = ended.value - begun.value
    is_known = begun.is_known & ended.is_known & ((length < 0) == (ended.value < begun.value))  # fits 64 bits
    took, (reported, is_limited) = completeness.latencies(look, forest), completeness.xray_facts(columns, forest)
    service, name = look.codes("service_name"), look.codes("name")
    root = forest.root_row
    counted = ~look.is_inferred
    frame = pd.DataFrame(
        {
            "root_row": root,
            "root_service_name": service.take(root).series(),
            "root_name": name.take(root).series(),
            "start_ns": masked(begun.value, ~begun.is_known, "Int64"),
            "end_ns": masked(ended.value, ~ended.is_known, "Int64"),
            "duration_ns": masked(length, ~is_known, "Int64"),
            "root_duration_ns": masked(took.value, ~took.is_known, "Int64"),
            "reported_duration_ns": masked(reported.value, ~reported.is_known, "Int64"),
            "span_count": total(counted),
            "error_count": total(look.is_error & counted),
            "service_count": distinct_by(forest.trace[counted], service.codes[counted] + 1, count),
            "orphan_count": completeness.orphan_counts(look, forest),
            "root_count": completeness.root_counts(forest),
            "in_progress_count": total(_bit(look, Quality.IN_PROGRESS)),
            "is_error": look.is_error[root],
            "limit_exceeded": is_limited,
            "partial": completeness.is_partial(look, forest),
            "weight": weights.value,
            "weight_source": weights.source.series(),
        }
    )
    frame.index = pd.Index(
        hexes(columns.spans.trace_hi[first], columns.spans.trace_lo[first]), name="trace_id", dtype="str"
    )
    return frame


def attributes(columns: Columns) -> pd.DataFrame:
    """Return ``traces.attributes``: one row per attribute of a resource, scope, span, event or link."""
    owners: list[tuple[str, Ragged]] = [
        ("resource", columns.resource_attributes),
        ("scope", columns.scope_attributes),
        ("span", columns.attributes),
        ("event", columns.event_attributes),
        ("link", columns.link_attributes),
    ]
    codes = np.concatenate([ragged.codes for _, ragged in owners])
    kv = columns.kv
    sizes = [len(ragged.codes) for _, ragged in owners]
    kind = kv.type[codes] if len(codes) else np.zeros(0, np.int8)
    words = pd.Series(kv.text.take(codes).to_pandas() if len(codes) else [], dtype="str")
    big = (kind == ValueType.INT) & words.notna().to_numpy()
    whole = (kind == ValueType.INT) & ~big
    nested = (kind == ValueType.ARRAY) | (kind == ValueType.MAP) | big
    frame = pd.DataFrame(
        {
            "owner": Codes(np.repeat(np.arange(5), sizes), [name for name, _ in owners]).series(),
            "owner_id": np.concatenate([ragged.owners() for _, ragged in owners]),
            "key": compact(kv.key[codes], kv.keys).series(),
            "value_type": Codes(kind, list(schema.VALUE_TYPES)).series(),
            "value_str": words.where(kind == ValueType.STR),
            "value_int": masked(kv.integer[codes], ~whole, "Int64"),
            "value_double": np.where(kind == ValueType.DOUBLE, kv.double[codes], np.nan),
            "value_bool": masked(kv.integer[codes] != 0, kind != ValueType.BOOL, "boolean"),
            "value_bytes": pd.Series(
                [value(kv, c) if k == ValueType.BYTES else None for c, k in zip(codes, kind, strict=True)], dtype=object
            )
            if (kind == ValueType.BYTES).any()
            else pd.Series([None] * len(codes), dtype=object),
            "value_json": words.where(nested),
            "origin": Codes(kv.origin[codes], list(schema.ORIGINS)).series(),
            "namespace": compact(kv.namespace[codes], kv.namespaces).series(),
            "is_indexed": kv.is_indexed[codes],
        }
    )
    frame.index.name = "attribute_id"
    return frame


def events(look: Lookup) -> pd.DataFrame:
    """Return ``traces.events``; see ``schema.EVENTS``."""
    table, keys = look.columns.events, look.events_by_key
    frame = pd.DataFrame(
        {
            "span_row": table.span_row,
            "time_ns": masked(table.time_ns, table.time_ns == 0, "Int64"),
            "name": compact(table.name, look.columns.texts).series(),
            "dropped_attributes_count": table.dropped_attributes,
            "exception_type": keys.codes_of(("exception.type",)).series(),
            "exception_message": keys.codes_of(("exception.message",)).series(),
            "exception_stacktrace": keys.codes_of(("exception.stacktrace",)).series(),
            "exception_escaped": _flag(keys, "exception.escaped"),
            "exception_remote": _flag(keys, "aws.xray.exception.remote"),
            "exception_id": keys.codes_of(("aws.xray.exception.id",)).series(),
            "cause_id": keys.codes_of(("aws.xray.exception.cause",)).series(),
        }
    )
    frame.index.name = "event_id"
    return frame


def _flag(keys: KeyIndex, key: str) -> pd.Series:
    """Return an attribute as a nullable boolean column."""
    found = keys.codes_of((key,), str.lower)
    yes = np.array([label in {"true", "1"} for label in found.labels] + [False])
    return masked(yes[found.codes], found.codes < 0, "boolean")


def links(look: Lookup) -> pd.DataFrame:
    """Return ``traces.links``; see ``schema.LINKS``."""
    table = look.columns.links
    frame = pd.DataFrame(
        {
            "span_row": table.span_row,
            "trace_id": text(hexes(table.trace_hi, table.trace_lo), (table.trace_hi == 0) & (table.trace_lo == 0)),
            "span_id": text(hexes(table.span_id), table.span_id == 0),
            "trace_state": compact(table.trace_state, look.columns.texts).series(),
            "trace_flags": pd.array(table.flags, dtype="UInt32"),
            "dropped_attributes_count": table.dropped_attributes,
            "relation": Codes(table.relation, list(schema.RELATIONS)).series(),
        }
    )
    frame.index.name = "link_id"
    return frame


def resources(look: Lookup) -> pd.DataFrame:
    """Return ``traces.resources``; see ``schema.RESOURCES``."""
    table, keys = look.columns.resources, look.resources_by_key
    named = keys.codes_of((*semconv.SERVICE_KEYS, *semconv.FAAS_KEYS)).series()
    frame = pd.DataFrame(
        {
            "schema_url": compact(table.schema_url, look.columns.texts).series(),
            "service_name": named.cat.add_categories(
                [] if semconv.UNKNOWN_SERVICE in named.cat.categories else [semconv.UNKNOWN_SERVICE]
            ).fillna(semconv.UNKNOWN_SERVICE),
            **{column: keys.codes_of(semconv.RESOURCE_KEYS[column]).series() for column in semconv.RESOURCE_KEYS},
            "dropped_attributes_count": table.dropped_attributes,
        }
    )
    frame.index.name = "resource_id"
    return frame[schema.names("resources")]


def scopes(columns: Columns) -> pd.DataFrame:
    """Return ``traces.scopes``; see ``schema.SCOPES``."""
    table = columns.scopes
    frame = pd.DataFrame(
        {name: compact(getattr(table, name), columns.texts).series() for name in schema.names("scopes")}
    )
    frame.index.name = "scope_id"
    return frame
