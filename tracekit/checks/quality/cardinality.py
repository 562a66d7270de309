"""S28: high-cardinality attributes and span names."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tracekit.checks.quality.distinct_values import VALUES, Place, some_texts
from tracekit.checks.quality.duplicates import SPANS
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.redaction.patterns import is_pii, masked
from tracekit.redaction.scan import labels_shown
from tracekit.stats.thinned import unseen_mass
from tracekit.text import count, ratio, ratio_range

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.checks.quality.distinct_values import Values
    from tracekit.columns import Array
    from tracekit.findings import Finding

CHECK, _SUBJECT = "cardinality", "High-cardinality attributes"
_MOST_DISTINCT, _MOST_NEW, _MOSTLY_NEW, _USUAL = 0.2, 0.05, 0.5, 0.1
_FEWEST, _FEWEST_INDEXED = 1000, 100
_SHAPES = (
    ("uuid", re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)),
    ("email", re.compile(r"[^@\s/]+@[^@\s/]+\.[a-z]{2,}", re.IGNORECASE)),
    ("hex", re.compile(r"(?=[0-9a-f]*\d)[0-9a-f]{12,}", re.IGNORECASE)),
    ("id", re.compile(r"\d{3,}|[A-Za-z]{1,6}[-_]?\d{3,}")),
)
_PARTS = re.compile(r"([/\s?&=,()'\"]+)")


def cardinality(case: Case) -> list[Finding]:
    """Return the high-cardinality (unbounded) attributes and span names.

    Counts of distinct values of every text attribute of spans (numbers only for ID keys) and of span names, by
    service, and by operation within services where a key is not high-cardinality as a whole: pooling services would
    hide the growth in one of them.  Warns where the probability that the next span adds a new value (Good-Turing,
    f1 / n) is significantly above 5% and the key has more than 1,000 rows, more than 20% of them distinct (indexed
    attributes, span names and operations: any share).  100 rows suffice where the probability is significantly above
    50%.  Keys with fewer rows are not assessable.  Operations are examined where they are paths of URLs, which a
    template cannot limit.  The evidence also has the projected number of values (Chao's lower limit), the entropy,
    the share of values that look like IDs, and a template of the parts that many values share: no value is printed.
    Growth is per window.

    Counts are exact, but for keys of a store with more than 4,096 values in a service: of these a random share of the
    values is kept (by a hash), so that the number of values has a standard error of about 2%, which the limits of the
    probability include.

    Source: Good 1953; Chao 1984.
    """
    span_count = case.result(SPANS)
    if not span_count:
        return [not_assessable(CHECK, _SUBJECT, "spans")]
    found = _rows(case.result(VALUES))
    table = pd.DataFrame([row for row, _ in found])
    places = tuple(place for row, place in found if row["status"] == "warning")
    shapes = [_shape(texts) for texts in some_texts(case, places)] if places else []
    wide = (table["status"] == "warning").to_numpy()
    table["id_ratio"], table["template"] = np.nan, ""
    table.loc[wide, "id_ratio"] = [share for share, _ in shapes]
    table.loc[wide, "template"] = [template for _, template in shapes]
    table["key"] = [masked(key) if is_pii(key) else key for key in table["key"]]
    table["operation"] = labels_shown(table["operation"].tolist())
    order = table["status"].map({"warning": 0, "ok": 1, "not_assessable": 2})
    by = ["order", "distinct_count", "key", "service_name", "operation"]
    table = table.assign(order=order).sort_values(by, ascending=[True, False, True, True, True])
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
            f"services (n = {count(span_count)} spans); all can be used for grouping.{unjudged}"
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


def _rows(values: Values) -> list[tuple[dict[str, Any], Place]]:
    """Return a row for every key of every service, and for operations with high cardinality."""
    owner, found = values.owner, []
    of_groups = _split(owner)
    of_entries = dict(zip(np.unique(owner[values.group]).tolist(), _split(owner[values.group]), strict=True))
    for number, groups in enumerate(of_groups):
        part = of_entries.get(number, np.zeros(0, np.int64))
        key, service = (values.keys[name][groups[0]] for name in ("key", "service_name"))
        is_index, kept = key in values.indexed, 0.5 ** int(values.level[groups[0]])
        where = {"key": key, "service_name": service or "", "operation": ""}
        code, distinct = pd.factorize(values.value[part])
        counts = np.bincount(code, values.times[part], len(distinct)).astype(np.int64)
        row = where | _row(counts, int(values.row_count[groups].sum()), kept, is_index)
        found.append((row, Place(key, service, None, is_operation=False)))
        if row["status"] == "warning":
            continue
        for inner in _split(values.group[part]):
            own, group = part[inner], values.group[part[inner[0]]]
            rows, times = int(values.row_count[group]), values.times[own]
            if len(own) < len(part) and rows >= _FEWEST_INDEXED and (times == 1).sum() > _MOST_NEW * kept * rows:
                operation = values.keys["operation"][group]
                part_row = where | {"operation": operation or ""} | _row(times, rows, kept, is_index)
                place = Place(key, service, operation, is_operation=True)
                found += [(part_row, place)] * (part_row["status"] == "warning")
    return found


def _split(group: Array) -> list[Array]:
    """Return the positions of every group."""
    order = np.argsort(group, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(group[order])) + 1) if len(order) else []


def _row(counts: Array, rows: int, kept: float, is_index: bool) -> dict[str, Any]:
    """Return the statistics of the values of one key, from a share of its values that was ``kept`` at random."""
    distinct = round(len(counts) / kept)
    unseen = unseen_mass(counts, kept_ratio=kept, draws=rows)
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
        "entropy_bits": float(max(np.log2(rows) - (counts * np.log2(counts)).sum() / kept / rows, 0.0)),
        "status": "not_assessable" if few else "warning" if is_wide else "ok",
    }


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
