"""S28: high-cardinality attributes and span names."""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from tracekit.attributes import Codes, texts_of
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.redaction.patterns import is_pii, masked
from tracekit.redaction.scan import labels_shown
from tracekit.schema import ValueType
from tracekit.stats.thinned import unseen_mass
from tracekit.text import count, ratio, ratio_range

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.findings import Finding

CHECK, _SUBJECT = "cardinality", "High-cardinality attributes"
_MOST_DISTINCT, _MOST_NEW, _MOSTLY_NEW, _SAMPLE, _USUAL = 0.2, 0.05, 0.5, 300, 0.1
_FEWEST, _FEWEST_INDEXED = 1000, 100
_NAME, _OPERATION = "span name", "operation from url.full"
_SHAPES = (
    ("uuid", re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)),
    ("email", re.compile(r"[^@\s/]+@[^@\s/]+\.[a-z]{2,}", re.IGNORECASE)),
    ("hex", re.compile(r"(?=[0-9a-f]*\d)[0-9a-f]{12,}", re.IGNORECASE)),
    ("id", re.compile(r"\d{3,}|[A-Za-z]{1,6}[-_]?\d{3,}")),
)
_PARTS = re.compile(r"([/\s?&=,()'\"]+)")
_ID_KEY = re.compile(r"(^|[._-])(id|uuid|guid|key|number)$", re.IGNORECASE)


def cardinality(case: Case) -> list[Finding]:
    """Return the high-cardinality (unbounded) attributes and span names.

    Exact counts of distinct values of every text attribute of spans (numbers only for ID keys) and of span names, by
    service, and by operation within services where a key is not high-cardinality as a whole: pooling services would
    hide the growth in one of them.  Warns where the probability that the next span adds a new value (Good-Turing,
    f1 / n) is significantly above 5% and the key has more than 1,000 rows, more than 20% of them distinct (indexed
    attributes, span names and operations: any share).  100 rows suffice where the probability is significantly above
    50%.  Keys with fewer rows are not assessable.  Operations are examined where they are paths of URLs, which a
    template cannot limit.  The evidence also has the projected number of values (Chao's lower limit), the entropy,
    the share of values that look like IDs, and a template of the parts that many values share: no value is printed.
    Growth is per window.

    Source: Good 1953; Chao 1984.
    """
    columns = case.traces.columns
    if not len(columns.spans):
        return [not_assessable(CHECK, _SUBJECT, "spans")]
    found = [(row, values, use) for use in _uses(case) for row, values in _rows(case, use)]
    table = pd.DataFrame([row for row, _, _ in found])
    shapes = [_shape(use.texts(_sample(values))) for row, values, use in found if row["status"] == "warning"]
    wide = (table["status"] == "warning").to_numpy()
    table["id_ratio"], table["template"] = np.nan, ""
    table.loc[wide, "id_ratio"] = [share for share, _ in shapes]
    table.loc[wide, "template"] = [template for _, template in shapes]
    table["key"] = [masked(key) if is_pii(key) else key for key in table["key"]]
    table["operation"] = labels_shown(table["operation"].tolist())
    order = table["status"].map({"warning": 0, "ok": 1, "not_assessable": 2})
    table = table.assign(order=order).sort_values(["order", "distinct_count"], ascending=[True, False])
    table = table.drop(columns="order").reset_index(drop=True)
    few = int((table["status"] == "not_assessable").sum())
    if few == len(table):
        return [
            not_assessable(CHECK, _SUBJECT, f"{_FEWEST_INDEXED} spans of a service (found {table['row_count'].max()})")
        ]
    unjudged = f" {count(few)} more have too few rows to assess." * (few > 0)
    if not wide.any():
        text = (
            f"No high-cardinality attribute among {count(len(table) - few)} text attributes and span names of "
            f"services (n = {count(len(columns.spans))} spans); all can be used for grouping.{unjudged}"
        )
        return [finding(CHECK, "ok", text, table)]
    top = table.iloc[0]
    template = f" (template `{top['template']}`)" if top["template"] else ""
    where = f" of `{top['service_name']}`" + f" in `{top['operation']}`" * bool(top["operation"])
    more = f" {int(wide.sum()) - 1} more keys have high cardinality." * bool(wide.sum() > 1)
    text = (
        f"High cardinality: `{top['key']}`{where} has {count(top['distinct_count'])} values in "
        f"{count(top['row_count'])} spans; {ratio(top['new_ratio'])} of further spans add a new value (95% CI "
        f"{ratio_range(top['low'], top['high'])}). {ratio(top['id_ratio'])} of the values contain an ID{template}."
        f"{more}{unjudged}"
    )
    estimate = Estimate(top["new_ratio"], "ratio", top["low"], top["high"], int(top["row_count"]))
    remedy = (
        "Do not group by it or index it. Use the template as http.route or span name, and put the ID in an attribute "
        "that is not indexed."
    )
    return [
        finding(CHECK, "warning", text, table, estimate=estimate, remedy=remedy, assumptions=("growth is per window",))
    ]


class _Use(NamedTuple):
    """Values of keys by service and operation, one entry each, with their number of occurrences."""

    texts: Callable[[Array], list[str]]
    key: Array
    names: list[str]
    indexed: Array
    service: Array
    operation: Array
    value: Array
    times: Array


def _uses(case: Case) -> list[_Use]:
    """Return the number of occurrences of each value of span names and attributes."""
    columns = case.traces.columns
    kv, attributes = columns.kv, columns.attributes
    every = np.arange(len(columns.spans))
    names = [_one(case, _NAME, every, Codes(columns.spans.name, columns.names))]
    operation, source = (case.traces.codes(column) for column in ("operation", "operation_source"))
    paths = np.flatnonzero(np.isin(source.codes, [code for code, key in enumerate(source.labels) if key == "url.full"]))
    if len(paths):
        names.append(_one(case, _OPERATION, paths, operation))
    if not len(kv.keys):
        return names
    id_keys = np.array([bool(_ID_KEY.search(key)) for key in kv.keys], bool)
    is_label = (kv.type == ValueType.STR) | ((kv.type == ValueType.INT) & id_keys[kv.key])
    row = np.repeat(every, np.diff(attributes.offsets))
    chosen = np.flatnonzero(is_label[attributes.codes])
    uses = _counted(case, row[chosen], attributes.codes[chosen].astype(np.int64))
    value = uses[2]
    indexed = np.bincount(kv.key[value], weights=kv.is_indexed[value], minlength=len(kv.keys)) > 0
    return [*names, _Use(partial(texts_of, kv), kv.key[value].astype(np.int64), list(kv.keys), indexed, *uses)]


def _one(case: Case, key: str, rows: Array, column: Codes) -> _Use:
    """Return the number of occurrences of each value of one column, which backends index."""
    counted = _counted(case, rows, column.codes[rows].astype(np.int64))
    return _Use(column.texts, np.zeros(len(counted[0]), np.int64), [key], np.array([True]), *counted)


def _counted(case: Case, row: Array, value: Array) -> tuple[Array, Array, Array, Array]:
    """Return service, operation, value and count of every combination of them."""
    service, operation = (case.traces.codes(name) for name in ("service_name", "operation"))
    size, many = len(operation.labels) + 1, int(value.max(initial=0)) + 1
    place = (service.codes[row].astype(np.int64) + 1) * size + operation.codes[row] + 1
    places, code = np.unique(place, return_inverse=True)
    pair, often = np.unique(code * many + value, return_counts=True)
    place = places[pair // many] if len(pair) else pair
    return place // size - 1, place % size - 1, pair % many, often


def _rows(case: Case, use: _Use) -> list[tuple[dict[str, Any], Array]]:
    """Return a row and the values of every key of every service, and of operations with high cardinality."""
    services, operations = ([*case.traces.codes(name).labels, ""] for name in ("service_name", "operation"))
    found = []
    for part in _groups(use.key, use.service):
        at = part[0]
        key, is_index = use.names[use.key[at]], bool(use.indexed[use.key[at]])
        where = {"key": key, "service_name": services[use.service[at]], "operation": ""}
        row = where | _row(np.bincount(np.unique(use.value[part], return_inverse=True)[1], use.times[part]), is_index)
        found.append((row, np.unique(use.value[part])))
        if row["status"] == "warning":
            continue
        for inner in _groups(use.operation[part]):
            own = part[inner]
            if own.size < len(part) and _may_be_wide(use.times[own]):
                part_row = where | {"operation": operations[use.operation[own[0]]]} | _row(use.times[own], is_index)
                found += [(part_row, use.value[own])] * (part_row["status"] == "warning")
    return found


def _groups(*by: Array) -> list[Array]:
    """Return the positions of every combination."""
    order = np.lexsort(by[::-1])
    changes = np.any([np.diff(one[order]) != 0 for one in by], axis=0)
    return np.split(order, np.flatnonzero(changes) + 1) if len(order) else []


def _may_be_wide(counts: Array) -> bool:
    """Return whether the values of an operation may have high cardinality."""
    return bool(counts.sum() >= _FEWEST_INDEXED and (counts == 1).sum() > _MOST_NEW * counts.sum())


def _row(counts: Array, is_index: bool) -> dict[str, Any]:
    """Return the statistics of the values of one key."""
    rows, distinct = int(counts.sum()), len(counts)
    unseen = unseen_mass(counts)
    most = _MOST_NEW if rows > _FEWEST else _MOSTLY_NEW
    is_wide = rows >= _FEWEST_INDEXED and unseen.low > most and (is_index or distinct / rows > _MOST_DISTINCT)
    few = not is_wide and not (rows > _FEWEST or (is_index and rows >= _FEWEST_INDEXED))
    return {
        "row_count": rows,
        "distinct_count": distinct,
        "projected_count": unseen.kinds,
        "new_ratio": unseen.mass,
        "low": unseen.low,
        "high": unseen.high,
        "is_indexed": is_index,
        "entropy_bits": float(np.log2(rows) - (counts * np.log2(counts)).sum() / rows),
        "status": "not_assessable" if few else "warning" if is_wide else "ok",
    }


def _sample(values: Array) -> Array:
    """Return an evenly spaced sample of the values of a key."""
    return np.asarray(values[np.linspace(0, len(values) - 1, min(_SAMPLE, len(values))).astype(int)])


def _shape(values: list[str]) -> tuple[float, str]:
    """Return the share of values that contain an ID, and their most common template without PII."""
    split = [_PARTS.split(value) for value in values]
    known = Counter(part for parts in split for part in set(parts))
    usual = {part for part, often in known.items() if often >= max(_USUAL * len(values), 2)}
    forms = [[_placeholder(part, usual) for part in parts] for parts in split]
    share = sum(any(part.startswith("{") and part != "{...}" for part in form) for form in forms) / max(len(values), 1)
    public = [form for form, value in zip(forms, values, strict=True) if not is_pii(value)]
    template = next(iter(Counter("".join(form) for form in public).most_common(1)), ("",))[0]
    return share, template if set(template) - set("{.} ") else ""


def _placeholder(part: str, usual: set[str]) -> str:
    """Return a part of a value as it appears in a template."""
    shape = next((name for name, pattern in _SHAPES if pattern.fullmatch(part)), None)
    if shape:
        return f"{{{shape}}}"
    return part if part in usual or not part or _PARTS.fullmatch(part) else "{...}"
