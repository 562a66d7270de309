"""S28: which attribute, or span name, has so many values that it will cost."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from tracekit.attributes import texts_of
from tracekit.checks.quality.pii_patterns import is_private, masked
from tracekit.checks.quality.pii_scan import labels_shown
from tracekit.checks.sampling.words import number, percent, percents
from tracekit.checks.verdicts import finding, not_assessable
from tracekit.findings import Estimate
from tracekit.schema import ValueType
from tracekit.stats.thinned import unseen_mass

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.findings import Finding

CHECK, _SUBJECT = "cardinality", "Which attribute has too many values"
_MOST_DISTINCT, _MOST_NEW, _MOSTLY_NEW, _SAMPLE, _USUAL = 0.2, 0.05, 0.5, 300, 0.1
_FEWEST, _FEWEST_INDEXED = 1000, 100
_NAME = "span name"
_SHAPES = (
    ("uuid", re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)),
    ("email", re.compile(r"[^@\s/]+@[^@\s/]+\.[a-z]{2,}", re.IGNORECASE)),
    ("hex", re.compile(r"(?=[0-9a-f]*\d)[0-9a-f]{12,}", re.IGNORECASE)),
    ("id", re.compile(r"\d{3,}|[A-Za-z]{1,6}[-_]?\d{3,}")),
)
_PARTS = re.compile(r"([/\s?&=,()'\"]+)")
_ID_KEY = re.compile(r"(^|[._-])(id|uuid|guid|key|number)$", re.IGNORECASE)


def cardinality(case: Case) -> list[Finding]:
    """Say which attributes and span names have a number of values that grows with the traffic.

    Exact counts of distinct values of every text attribute of spans (numbers only where the key is an id's), and of
    span names; by service, and within services in which a key is not too wide by operation: pooled, the names of one
    service that grow are hidden by those of the others.  Warns where the probability that the next span brings a new
    value (Good and Turing's f1 / n) is significantly above 5 %, and the key has more than 1,000 rows, of which more
    than a fifth are distinct unless it is an indexed attribute or span name; of these 100 rows are enough where the
    probability is significantly above 50 %.  Keys of fewer rows are too few to judge.  Also given: how many values
    there may be in all (Chao's lower limit), the entropy of the values, the share of values shaped like ids, and a
    template that keeps only what many values have in common: no value is printed.  Growth is per window.

    Source: ``trace_guide.md`` F4, mistakes 5, 15 and 17; Good 1953; Chao 1984.
    """
    columns = case.traces.columns
    if not len(columns.spans):
        return [not_assessable(CHECK, _SUBJECT, "spans")]
    found = [row for used in _uses(case) for row in _rows(case, used)]
    table = pd.DataFrame([row for row, _ in found])
    shapes = [_shape(_sample(case, row["key"], values)) for row, values in found if row["status"] == "warning"]
    wide = (table["status"] == "warning").to_numpy()
    table["id_ratio"], table["template"] = np.nan, ""
    table.loc[wide, "id_ratio"] = [share for share, _ in shapes]
    table.loc[wide, "template"] = [template for _, template in shapes]
    table["key"] = [masked(key) if is_private(key) else key for key in table["key"]]
    table["operation"] = labels_shown(table["operation"].tolist())
    order = table["status"].map({"warning": 0, "ok": 1, "not_assessable": 2})
    table = table.assign(order=order).sort_values(["order", "distinct_count"], ascending=[True, False])
    table = table.drop(columns="order").reset_index(drop=True)
    few = int((table["status"] == "not_assessable").sum())
    if few == len(table):
        return [
            not_assessable(CHECK, _SUBJECT, f"{_FEWEST_INDEXED} spans of a service (found {table['row_count'].max()})")
        ]
    unjudged = f"; {number(few)} more have too few rows to judge" * (few > 0)
    if not wide.any():
        text = (
            f"None of {number(len(table) - few)} text attributes and span names of services has a number of values "
            f"that grows with the traffic (n = {number(len(columns.spans))} spans): they can be grouped by{unjudged}."
        )
        return [finding(CHECK, "ok", text, table)]
    top = table.iloc[0]
    advice = f": use `{top['template']}`" if top["template"] else ""
    where = f" of `{top['service_name']}`" + f" in `{top['operation']}`" * bool(top["operation"])
    text = (
        f"`{top['key']}`{where} has {number(top['distinct_count'])} values in {number(top['row_count'])} spans, and "
        f"{percent(top['new_ratio'])} ({percents(top['low'], top['high'])}) of further spans would bring a new one; "
        f"{percent(top['id_ratio'])} of a sample of its values hold an id{advice}. Grouping by it gives very many "
        f"groups, and indexing it costs with every request; {int(wide.sum()) - 1} more keys are as wide{unjudged}."
    )
    estimate = Estimate(top["new_ratio"], "ratio", top["low"], top["high"], int(top["row_count"]))
    remedy = "Record the template as span name or route, and the id as an attribute that is not indexed."
    return [
        finding(CHECK, "warning", text, table, estimate=estimate, remedy=remedy, assumptions=("growth is per window",))
    ]


class _Use(NamedTuple):
    """Values of keys by service and operation: one entry a value there, with how often it occurs."""

    key: Array
    names: list[str]
    indexed: Array
    service: Array
    operation: Array
    value: Array
    times: Array


def _uses(case: Case) -> list[_Use]:
    """Return how often each value of labels occurs, of span names and of attributes."""
    columns = case.traces.columns
    kv, attributes = columns.kv, columns.attributes
    every = np.arange(len(columns.spans))
    named = _counted(case, every, columns.spans.name.astype(np.int64))
    names = _Use(np.zeros(len(named[0]), np.int64), [_NAME], np.array([True]), *named)
    if not len(kv.keys):
        return [names]
    id_keys = np.array([bool(_ID_KEY.search(key)) for key in kv.keys], bool)
    is_label = (kv.type == ValueType.STR) | ((kv.type == ValueType.INT) & id_keys[kv.key])
    row = np.repeat(every, np.diff(attributes.offsets))
    chosen = np.flatnonzero(is_label[attributes.codes])
    told = _counted(case, row[chosen], attributes.codes[chosen].astype(np.int64))
    indexed = np.bincount(kv.key[told[2]], weights=kv.is_indexed[told[2]], minlength=len(kv.keys)) > 0
    return [names, _Use(kv.key[told[2]].astype(np.int64), list(kv.keys), indexed, *told)]


def _counted(case: Case, row: Array, value: Array) -> tuple[Array, Array, Array, Array]:
    """Return service, operation, value and count of every combination of them."""
    service, operation = (case.traces.codes(name) for name in ("service_name", "operation"))
    size, many = len(operation.labels) + 1, int(value.max(initial=0)) + 1
    place = (service.codes[row].astype(np.int64) + 1) * size + operation.codes[row] + 1
    places, code = np.unique(place, return_inverse=True)
    pair, count = np.unique(code * many + value, return_counts=True)
    place = places[pair // many] if len(pair) else pair
    return place // size - 1, place % size - 1, pair % many, count


def _rows(case: Case, use: _Use) -> list[tuple[dict[str, Any], Array]]:
    """Return a row and the values of every key of every service, and of its operations that alone are too wide."""
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
                told = where | {"operation": operations[use.operation[own[0]]]} | _row(use.times[own], is_index)
                found += [(told, use.value[own])] * (told["status"] == "warning")
    return found


def _groups(*by: Array) -> list[Array]:
    """Return the positions of every combination."""
    order = np.lexsort(by[::-1])
    changes = np.any([np.diff(one[order]) != 0 for one in by], axis=0)
    return np.split(order, np.flatnonzero(changes) + 1) if len(order) else []


def _may_be_wide(counts: Array) -> bool:
    """Return whether the values of an operation need a closer look."""
    return bool(counts.sum() >= _FEWEST_INDEXED and (counts == 1).sum() > _MOST_NEW * counts.sum())


def _row(counts: Array, is_index: bool) -> dict[str, Any]:
    """Return what is known of the values of one key."""
    rows, distinct = int(counts.sum()), len(counts)
    unseen = unseen_mass(counts)
    few = not (rows > _FEWEST or (is_index and rows >= _FEWEST_INDEXED))
    most = _MOST_NEW if rows > _FEWEST else _MOSTLY_NEW
    is_wide = not few and unseen.low > most and (is_index or distinct / rows > _MOST_DISTINCT)
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


def _sample(case: Case, key: str, values: Array) -> list[str]:
    """Return some of the values of a key, evenly from all."""
    columns = case.traces.columns
    some = values[np.linspace(0, len(values) - 1, min(_SAMPLE, len(values))).astype(int)]
    return [columns.names[at] for at in some] if key == _NAME else texts_of(columns.kv, some)


def _shape(values: list[str]) -> tuple[float, str]:
    """Return which share of values holds an id, and the form most have; only parts that many share are shown.

    Values that hold private data shape no template.
    """
    split = [_PARTS.split(value) for value in values]
    known = Counter(part for parts in split for part in set(parts))
    usual = {part for part, count in known.items() if count >= max(_USUAL * len(values), 2)}
    forms = [[_placeholder(part, usual) for part in parts] for parts in split]
    share = sum(any(part.startswith("{") and part != "{...}" for part in form) for form in forms) / max(len(values), 1)
    public = [form for form, value in zip(forms, values, strict=True) if not is_private(value)]
    template = next(iter(Counter("".join(form) for form in public).most_common(1)), ("",))[0]
    return share, template if set(template) - set("{.} ") else ""


def _placeholder(part: str, usual: set[str]) -> str:
    """Return a part of a value as a template has it."""
    shape = next((name for name, pattern in _SHAPES if pattern.fullmatch(part)), None)
    if shape:
        return f"{{{shape}}}"
    return part if part in usual or not part or _PARTS.fullmatch(part) else "{...}"
