"""S28: which attribute, or span name, has so many values that it will cost."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tracekit.analysis.quality.private_patterns import is_private, masked
from tracekit.analysis.quality.verdicts import needs, speak
from tracekit.analysis.sampling.words import number, percent, percents
from tracekit.attributes import texts_of
from tracekit.findings import Estimate
from tracekit.schema import ValueType
from tracekit.stats.thinned import unseen_mass

if TYPE_CHECKING:
    from tracekit.analysis.quality.inputs import Inputs
    from tracekit.columns import Array
    from tracekit.findings import Finding

CHECK, _SUBJECT = "cardinality", "Which attribute has too many values"
_MOST_DISTINCT, _MOST_NEW, _SAMPLE, _USUAL = 0.2, 0.05, 300, 0.1
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


def cardinality(inputs: Inputs) -> list[Finding]:
    """Say which attributes and span names have a number of values that grows with the traffic.

    Exact counts of distinct values of every text attribute of spans (numbers only where the key is an id's), and of
    span names.  Warns where distinct / rows exceeds 0.2 with more than 1,000 rows, or where the chance that the next
    span brings a new value (Good and Turing's f1 / n) exceeds 5 % beyond doubt on an indexed attribute or span name
    of 100 rows or more; keys with fewer are measured and not judged.  Told beside: how many values there may be in all
    (Chao's lower limit), the entropy of the values, the share of values shaped like ids, and a template that keeps
    only what many values have in common: no value is printed.  Growth is per window.

    Source: ``trace_guide.md`` F4, mistakes 5, 15 and 17; Good 1953; Chao 1984.
    """
    columns = inputs.traces.columns
    if not len(columns.spans):
        return [needs(CHECK, _SUBJECT, "spans")]
    use = np.bincount(columns.attributes.codes, minlength=len(columns.kv))
    rows = [_row(_NAME, np.bincount(columns.spans.name), is_index=True)]
    for key, counts, is_index in _text_keys(inputs, use):
        rows.append(_row(key, counts, is_index=is_index))
    table = pd.DataFrame(rows)
    table = table.sort_values(["status", "distinct_count"], ascending=[False, False], ignore_index=True)
    wide = table["status"] == "warn"
    shapes = [_shape(_sample(inputs, use, key)) for key in table.loc[wide, "key"]]
    table["id_ratio"], table["template"] = np.nan, ""
    table.loc[wide, "id_ratio"] = [share for share, _ in shapes]
    table.loc[wide, "template"] = [template for _, template in shapes]
    table["key"] = [masked(key) if is_private(key) else key for key in table["key"]]
    judged = int((table["status"] != "measured").sum())
    if not judged:
        return [needs(CHECK, _SUBJECT, f"{_FEWEST_INDEXED} spans (found {len(columns.spans)})")]
    if not wide.any():
        text = (
            f"None of {judged} text attributes and span names with enough spans has a number of values that grows with "
            f"the traffic (n = {number(len(columns.spans))} spans): all can be grouped by."
        )
        return [speak(CHECK, "ok", text, table)]
    top = table.iloc[0]
    advice = f": use `{top['template']}`" if top["template"] else ""
    text = (
        f"`{top['key']}` has {number(top['distinct_count'])} values in {number(top['row_count'])} spans, and "
        f"{percent(top['new_ratio'])} ({percents(top['low'], top['high'])}) of further spans would bring a new one; "
        f"{percent(top['id_ratio'])} of a sample of its values hold an id{advice}. Grouping by it gives groups of one, "
        f"and indexing it costs with every request; {int(wide.sum()) - 1} more keys are as wide."
    )
    estimate = Estimate(top["new_ratio"], "ratio", top["low"], top["high"], int(top["row_count"]))
    remedy = "Record the template as span name or route, and the id as an attribute that is not indexed."
    return [speak(CHECK, "warn", text, table, estimate=estimate, remedy=remedy, assumptions=("growth is per window",))]


def _text_keys(inputs: Inputs, use: Array) -> list[tuple[str, Array, bool]]:
    """Return every key whose values are labels, with how often each value occurs and whether it is indexed."""
    kv = inputs.traces.columns.kv
    id_keys = np.array([bool(_ID_KEY.search(key)) for key in kv.keys], bool)
    label = (kv.type == ValueType.STR) | ((kv.type == ValueType.INT) & id_keys[kv.key] if len(kv.keys) else False)
    chosen = np.flatnonzero(label & (use > 0))
    chosen = chosen[np.argsort(kv.key[chosen], kind="stable")]
    keys, first = np.unique(kv.key[chosen], return_index=True)
    parts = np.split(chosen, first[1:]) if len(keys) else []
    return [(kv.keys[key], use[part], bool(kv.is_indexed[part].any())) for key, part in zip(keys, parts, strict=True)]


def _row(key: str, counts: Array, *, is_index: bool) -> dict[str, Any]:
    """Return what is known of the values of one key."""
    counts = counts[counts > 0]
    rows, distinct = int(counts.sum()), len(counts)
    unseen = unseen_mass(counts)
    is_judged = rows > _FEWEST or (is_index and rows >= _FEWEST_INDEXED)
    is_wide = rows > _FEWEST and distinct / rows > _MOST_DISTINCT
    is_wide |= is_index and rows >= _FEWEST_INDEXED and unseen.low > _MOST_NEW
    return {
        "key": key,
        "row_count": rows,
        "distinct_count": distinct,
        "projected_count": unseen.kinds,
        "new_ratio": unseen.mass,
        "low": unseen.low,
        "high": unseen.high,
        "is_indexed": is_index,
        "entropy_bits": float(np.log2(rows) - (counts * np.log2(counts)).sum() / rows) if rows else 0.0,
        "status": "warn" if is_wide else "ok" if is_judged else "measured",
    }


def _sample(inputs: Inputs, use: Array, key: str) -> list[str]:
    """Return some of the values of a key, evenly from all."""
    columns = inputs.traces.columns
    if key == _NAME:
        used = np.unique(columns.spans.name)
        return [columns.names[at] for at in used[np.linspace(0, len(used) - 1, min(_SAMPLE, len(used))).astype(int)]]
    codes = columns.kv.codes_of(key)
    codes = codes[use[codes] > 0]
    return texts_of(columns.kv, codes[np.linspace(0, len(codes) - 1, min(_SAMPLE, len(codes))).astype(int)])


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
