"""S30: PII and secrets in attributes, span names and messages; values are always masked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from tracekit.checks.verdicts import worst_status
from tracekit.findings import Estimate, Status, finding, not_assessable
from tracekit.redaction.patterns import DETECTORS, is_pii, masked
from tracekit.redaction.scan import Blob, Hit, blob, blob_of, digit_runs, hits
from tracekit.schema import ValueType
from tracekit.stats.intervals import wilson
from tracekit.stats.mover import weight_classes
from tracekit.stats.tests import false_discovery
from tracekit.stats.thinned import thinned_count
from tracekit.text import count, interval, ratio, ratio_range, round_ratio

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.findings import Finding
    from tracekit.traces import TraceSet

CHECK = "pii"
_CARD, _BY_CHANCE, _FALSE = "payment card", 0.1, 0.01
_LEAST_CARD = 10**12
_LOGGED = "log message"
_COLUMNS = ["key", "kind", "value_count", "scanned_count", "span_count", "low", "high", "example", "status"]
_GENUINE = ["genuine_ratio", "genuine_low", "genuine_high"]
_TRAFFIC = ["trace_count", "traffic_count", "traffic_low", "traffic_high"]


def privacy(case: Case) -> list[Finding]:
    """Return the attributes, span names and messages, and messages of log lines, that contain PII or secrets.

    Scans every distinct value for e-mail addresses, international phone numbers, payment cards (length, issuer, check
    digit), IBAN (country, length, remainder by 97), US social security numbers (assigned areas), JSON web tokens
    (header that decodes), AWS access keys, tokens of well-known services, private keys, bearer and basic credentials,
    secrets in parameters, passwords in URLs, private IP addresses (listed, not a leak).  One in ten random digit runs
    passes the check digit of a card: a key is reported only if its valid runs exceed that at a false discovery rate of
    1%; the genuine share is ``(k / n - 0.1) / 0.9``.  Secrets and numbers of cards, accounts and persons are critical,
    personal addresses a warning.  If all weights are known, the number of leaking requests in all traffic is estimated
    with exact limits (``leaks_in_traffic``).  Of a value only the first and last two characters are shown.  Not
    detected: names, free text, encoded or compressed data.

    Source: ISO/IEC 7812 (Luhn), ISO 13616, RFC 7519.
    """
    spans = case.traces.columns.spans
    if not len(spans):
        return [not_assessable(CHECK, "PII or secrets", "spans")]
    rows, scanned = _attributes(case)
    more, names = _names(case)
    logged, messages = _messages(case)
    evidence = pd.DataFrame([*rows, *more, *logged], columns=[*_COLUMNS, *_GENUINE, *_TRAFFIC])
    evidence = evidence.sort_values(
        ["status", "span_count"], ascending=[True, False], ignore_index=True, key=_by_severity
    )
    total = scanned + names + messages
    leaks = evidence[evidence["status"] != "ok"]
    if not len(leaks):
        most = 1 - (1 - case.confidence) ** (1 / max(total, 1))  # about 3 / n
        text = (
            f"No PII or secrets detected in {count(total)} distinct values of attributes, span names and messages "
            f"({round_ratio(case.confidence)} upper bound: {ratio(most)} of such values"
        )
        none = leaks_in_traffic(case.traces, np.zeros(0, np.int64), confidence=case.confidence)
        text += ")." if np.isnan(none.high) else f", {count(none.high)} requests of all traffic)."
        estimate = Estimate(0.0, "ratio", 0.0, most, total)
        return [finding(CHECK, "ok", text, evidence, estimate=estimate, assumptions=_ASSUMED)]
    top = leaks.iloc[0]
    others = sorted(set(leaks["key"]) - {top["key"]})
    also = f" Also affected: {', '.join(f'`{key}`' for key in others[:5])}." if others else ""
    share = f"{case.ci} {ratio_range(top['low'], top['high'])}"
    places = "lines" if top["key"] == _LOGGED else "spans"
    text = (
        f"PII or secrets in `{top['key']}` ({top['kind']}): {count(top['value_count'])} of "
        f"{count(top['scanned_count'])} distinct values ({share}), such as {top['example']}, in "
        f"{count(top['span_count'])} {places}{_genuine(top)}{_in_traffic(top)}.{also}"
    )
    estimate = Estimate(
        top["value_count"] / top["scanned_count"], "ratio", top["low"], top["high"], int(top["scanned_count"])
    )
    remedy = "Drop or mask the key in the SDK or collector, revoke secrets, delete what is stored; share no raw export."
    statuses: list[Status] = leaks["status"].tolist()
    where = case.exemplars(_exemplar_traces(case, str(top["key"])))
    return [
        finding(
            CHECK,
            worst_status(statuses),
            text,
            evidence,
            estimate=estimate,
            assumptions=_ASSUMED,
            remedy=remedy,
            exemplars=where,
        )
    ]


_ASSUMED = ("names, free text and encoded values are not detected",)


def _by_severity(column: pd.Series) -> pd.Series:
    """Return the sort key of a column: failed before warning before ok."""
    return column.map({"failed": 0, "warning": 1, "ok": 2}) if column.name == "status" else column


def _attributes(case: Case) -> tuple[list[list[Any]], int]:
    """Return one row per key and kind, and the number of distinct values scanned."""
    columns = case.traces.columns
    kv = columns.kv
    owners = (columns.attributes, columns.event_attributes, columns.link_attributes)
    use = sum((np.bincount(owner.codes, minlength=len(kv)) for owner in owners), np.zeros(len(kv), np.int64))
    of_resources = np.bincount(columns.spans.resource, minlength=len(columns.resources))
    weight = of_resources[columns.resource_attributes.owners()]
    use = use + np.bincount(columns.resource_attributes.codes, weight, minlength=len(kv)).astype(np.int64)
    used = np.flatnonzero(use > 0)
    integers = used[(kv.type[used] == ValueType.INT) & (kv.integer[used] >= _LEAST_CARD)]
    text = blob_of(kv.text)
    scanned = np.bincount(kv.key[used], minlength=len(kv.keys))
    found = [hit for hit in hits(text) if use[hit.row]]
    spelt = blob([str(int(value)) for value in kv.integer[integers]])
    cards, genuine = _cards([(text, np.arange(len(kv))), (spelt, integers)], use, kv.key, case.confidence)
    leaking = np.zeros(len(kv), bool)
    leaking[[hit.row for hit in found + cards]] = True
    uses = uses_of(case.traces, leaking)
    return _rows(case, found + cards, kv.key, kv.keys, use, scanned, uses, genuine), len(used)


def _cards(parts: list[tuple[Blob, Array]], use: Array, key: Array, confidence: float) -> tuple[list[Hit], Array]:
    """Return the digit runs of keys with significantly many card numbers, and the genuine share by key with limits."""
    keys = int(key.max(initial=-1)) + 1
    runs = [digit_runs(text) for text, _ in parts]
    owner = np.concatenate([rows[run.row] for run, (_, rows) in zip(runs, parts, strict=True)])
    like = np.concatenate([run.is_card_like for run in runs]) & (use[owner] > 0)
    valid = np.concatenate([run.is_valid for run in runs]) & like
    n, k = np.bincount(key[owner[like]], minlength=keys), np.bincount(key[owner[valid]], minlength=keys)
    named = false_discovery(np.where(n > 0, stats.binom.sf(k - 1, np.maximum(n, 1), _BY_CHANCE), np.nan)) <= _FALSE
    shares = np.array([k / np.maximum(n, 1), *wilson(k / np.maximum(n, 1), np.maximum(n, 1), confidence=confidence)])
    genuine = np.clip((shares - _BY_CHANCE) / (1 - _BY_CHANCE), 0, 1)
    source = np.repeat(np.arange(len(runs)), [len(run.row) for run in runs])
    begin = np.concatenate([run.begin for run in runs])
    length = np.concatenate([run.length for run in runs])
    found = [
        Hit(int(owner[at]), _CARD, bytes(parts[source[at]][0].data[begin[at] : begin[at] + length[at]]).decode())
        for at in np.flatnonzero(valid & named[key[owner]])
    ]
    return found, np.where(named, genuine, np.nan).T


def _rows(
    case: Case,
    found: list[Hit],
    key: Array,
    keys: list[str],
    use: Array,
    scanned: Array,
    uses: tuple[Array, Array],
    genuine: Array | None = None,
) -> list[list[Any]]:
    """Return one row per key and kind of PII."""
    grouped: dict[tuple[int, str], list[Hit]] = {}
    for hit in found:
        grouped.setdefault((int(key[hit.row]), hit.kind), []).append(hit)
    rows = []
    for (at, kind), group in grouped.items():
        values = {hit.row for hit in group}
        n = max(int(scanned[at]), len(values))
        low, high = (float(limit) for limit in wilson(len(values) / n, n, confidence=case.confidence))
        spans = int(use[list(values)].sum())
        share = [np.nan] * 3 if genuine is None or kind != _CARD else genuine[at].tolist()
        example = masked(group[0].match)
        leaks = leaks_in_traffic(case.traces, uses[1][np.isin(uses[0], list(values))], confidence=case.confidence)
        rows.append([_name(keys[at]), kind, len(values), n, spans, low, high, example, _status(kind), *share, *leaks])
    return rows


def _genuine(row: pd.Series) -> str:
    """Return the share of the digit runs that are genuine cards, as a clause."""
    if np.isnan(row["genuine_ratio"]):
        return ""
    limits = ratio_range(row["genuine_low"], row["genuine_high"])
    return f"; {ratio(row['genuine_ratio'])} ({limits}) of its card-like digit runs are genuine"


def _in_traffic(row: pd.Series) -> str:
    """Return the number of requests of all traffic with such data, as a clause; empty if weights are unknown."""
    if np.isnan(row["traffic_count"]):
        return ""
    limits = interval(row["traffic_low"], row["traffic_high"], count, confidence="")
    return f", about {count(row['traffic_count'])} ({limits}) requests of all traffic"


def _name(key: str) -> str:
    """Return a key for a sentence; masked if it is PII itself."""
    return masked(key) if is_pii(key) else key


def _status(kind: str) -> Status:
    """Return the status of a kind of PII."""
    if kind == "private address":
        return "ok"
    return "failed" if DETECTORS[kind].is_secret else "warning"


def _names(case: Case) -> tuple[list[list[Any]], int]:
    """Return one row per kind found in names and status messages, and the number of texts scanned."""
    columns = case.traces.columns
    rows, total = [], 0
    trace = case.traces.forest.trace
    for key, texts, codes, own in (
        ("span name", columns.names, columns.spans.name, trace),
        ("status message", columns.texts, columns.spans.status_message, trace),
        ("event name", columns.texts, columns.events.name, trace[columns.events.span_row]),
    ):
        use = np.bincount(codes[codes >= 0], minlength=len(texts))
        looked = np.flatnonzero(use)
        total += len(looked)
        found = hits(blob([texts[at] for at in looked]))
        zero = np.zeros(len(looked), np.int64)
        uses = (np.searchsorted(looked, codes[codes >= 0]), own[codes >= 0])
        rows += _rows(case, found, zero, [key], use[looked], np.array([len(looked)]), uses)
    return rows, total


def _messages(case: Case) -> tuple[list[list[Any]], int]:
    """Return one row per kind found in log messages, with the number of lines, and the number of messages scanned."""
    if case.logs is None:
        return [], 0
    lines = case.logs.lines
    codes, texts = pd.factorize(lines["message"].to_numpy(object))
    own = lines["trace_id"].cat.codes.to_numpy(np.int64)
    found, joined = hits(blob([str(text) for text in texts])), own >= 0
    zero, scanned = np.zeros(len(texts), np.int64), np.array([len(texts)])
    uses = codes[joined], own[joined]
    return _rows(case, found, zero, [_LOGGED], np.bincount(codes, minlength=len(texts)), scanned, uses), len(texts)


def _exemplar_traces(case: Case, key: str) -> Array:
    """Return traces of spans with a key."""
    rows, _ = case.traces.lookup.by_key.of(key)
    return np.asarray(case.traces.forest.trace[rows[:5]])


class Leaks(NamedTuple):
    """Number of leaking traces, and the estimate for all traffic with limits; NaN where weights are unknown."""

    trace_count: int
    value: float
    low: float
    high: float


def leaks_in_traffic(traces: TraceSet, leaking: Array, *, confidence: float = 0.95) -> Leaks:
    """Return the estimated number of leaking requests in all traffic.

    Per class of weights (half powers of two) the exact limits of a thinned count (S04), at most the weight of the
    class; over classes ``low = value - sqrt(sum (value_c - low_c)^2)`` and likewise above (MOVER).  A class without a
    recorded leak still adds its upper limit.  Assumes that sampling is independent of leaks and between traces.
    Source: Zou and Donner 2008.
    """
    leaks = np.zeros(len(traces), bool)
    leaks[leaking] = True
    weights = traces.weights
    base = weights.value > 0
    if not base.any() or not weights.known.all() or weights.is_one_kind:
        return Leaks(int(leaks.sum()), np.nan, np.nan, np.nan)
    pi, event = np.minimum(weights.probability[base], 1.0), leaks[base]
    group = weight_classes(1 / pi)[0]
    traffic, value = np.bincount(group, 1 / pi), np.bincount(group, event / pi)
    count, size = np.bincount(group, event).astype(np.int64), np.bincount(group)
    with np.errstate(invalid="ignore"):
        share = np.clip(np.where(count > 0, count / value, size / traffic), 0, 1)
    limits = [thinned_count(int(n), float(p), confidence=confidence) for n, p in zip(count, share, strict=True)]
    low, high = np.array(limits, np.float64).T
    high = np.maximum(np.minimum(high, traffic), value)
    total, below, above = value.sum(), np.minimum(low, value) - value, high - value
    return Leaks(
        int(leaks.sum()),
        float(total),
        float(total - np.sqrt(np.square(below).sum())),
        float(total + np.sqrt(np.square(above).sum())),
    )


def uses_of(traces: TraceSet, values: Array) -> tuple[Array, Array]:
    """Return every use of some attribute values: row in the table of values, and trace."""
    columns, trace = traces.columns, traces.forest.trace
    found = []
    for owned, span in (
        (columns.attributes, np.arange(len(trace))),
        (columns.event_attributes, columns.events.span_row),
        (columns.link_attributes, columns.links.span_row),
    ):
        at = np.flatnonzero(values[owned.codes])
        found.append((owned.codes[at], trace[span[np.searchsorted(owned.offsets, at, "right") - 1]]))
    on_resource = columns.resource_attributes
    if len(at := np.flatnonzero(values[on_resource.codes])):
        span = np.argsort(columns.spans.resource, kind="stable")
        own, ordered = on_resource.owners()[at], columns.spans.resource[span]
        first, last = (np.searchsorted(ordered, own, side) for side in ("left", "right"))
        count = last - first
        rows = span[np.arange(count.sum()) + np.repeat(first - np.cumsum(count) + count, count)]
        found.append((np.repeat(on_resource.codes[at], count), trace[rows]))
    return np.concatenate([value for value, _ in found]), np.concatenate([own for _, own in found])
