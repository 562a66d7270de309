"""Where matches are used: one row per kind, place and key, with the number of values and of their uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.redaction.find import KINDS, SECRETS
from tracekit.redaction.patterns import masked
from tracekit.redaction.replace import replaced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracekit.columns import Array, Columns
    from tracekit.redaction.policy import Policy
    from tracekit.redaction.tables import Pool, Pools

COLUMNS: Final = ("kind", "where", "key", "value_count", "use_count", "is_secret", "action", "example")


class Use(NamedTuple):
    """A match in a place: kind, place and key, its text, how often it is used, and what becomes of it."""

    kind: str
    where: str
    key: str
    value: str
    use_count: int
    action: str


def table_of(uses: list[Use]) -> pd.DataFrame:
    """Return one row per kind, place, key and action, secrets and most uses first."""
    frame = pd.DataFrame(uses, columns=list(Use._fields))
    grouped = frame.groupby(["kind", "where", "key", "action"], sort=False)
    table = grouped.agg(value_count=("value", "nunique"), use_count=("use_count", "sum"), example=("value", "min"))
    return ordered(table.reset_index())


def ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Return rows by kind, place, key and action with masked examples, secrets and most uses first."""
    table = table.copy()
    table["example"] = [masked(value) for value in table["example"]]
    table["is_secret"] = table["kind"].isin(SECRETS).to_numpy(bool)
    table["rank"] = table["kind"].map({kind: rank for rank, kind in enumerate(KINDS)})
    order = ["is_secret", "use_count", "rank", "where", "key"]
    table = table.sort_values(order, ascending=[False, False, True, True, True], ignore_index=True)
    return table[list(COLUMNS)].astype({"value_count": "int64", "use_count": "int64"})


def uses_of(columns: Columns, pools: Pools, policy: Policy) -> Iterator[Use]:
    """Yield every match with its uses in spans, events, links, resources and scopes; unused values are left out."""
    shown = _shown_keys(pools.keys, policy)
    named = [policy.action_of_key(key) for key in columns.kv.keys]
    found = list(_of_values(pools))
    rows = np.array([row for row, _, _ in found], np.int64)
    keys = columns.kv.key[rows].tolist()
    actions = {kind: policy.action(kind) for kind in KINDS}
    for where, count in _uses_of_values(columns):
        times = count[rows]
        used = np.flatnonzero(times)
        for at, use_count in zip(used.tolist(), times[used].tolist(), strict=True):
            _, value, kind = found[at]
            key = keys[at]
            yield Use(kind, where, shown[key], value, use_count, named[key] or actions[kind])
    for where, pool, count in _uses_of_texts(columns, pools):
        for row, match, value in pool.values():
            if count[row]:
                yield Use(match.kind, where, "", value, int(count[row]), policy.action(match.kind))
    for row, match, value in pools.keys.values():
        yield Use(match.kind, "attribute key", shown[row], value, 1, policy.action(match.kind))


def _of_values(pools: Pools) -> Iterator[tuple[int, str, str]]:
    """Yield row, match and kind of everything in attribute values."""
    for row, match, value in pools.attributes.values():
        yield row, value, match.kind
    for row, match, value in pools.inside.values():
        yield int(pools.inside.owner[row]), value, match.kind


def _shown_keys(keys: Pool, policy: Policy) -> list[str]:
    """Return attribute keys without what was found in them."""
    texts = keys.texts.to_pylist()
    return [replaced(text, keys.found[row], policy) if row in keys.found else text for row, text in enumerate(texts)]


def _uses_of_values(columns: Columns) -> Iterator[tuple[str, Array]]:
    """Yield every place of attributes, and how often each value is used there; of resources and scopes by spans."""
    size = len(columns.kv)
    for where, table in (
        ("attribute", columns.attributes),
        ("event attribute", columns.event_attributes),
        ("link attribute", columns.link_attributes),
    ):
        yield where, np.bincount(table.codes, minlength=size)
    for where, table, owner in (
        ("resource attribute", columns.resource_attributes, columns.spans.resource),
        ("scope attribute", columns.scope_attributes, columns.spans.scope),
    ):
        spans = np.bincount(owner[owner >= 0], minlength=len(table))
        yield where, np.bincount(table.codes, spans[table.owners()], minlength=size).astype(np.int64)


def _uses_of_texts(columns: Columns, pools: Pools) -> Iterator[tuple[str, Pool, Array]]:
    """Yield every place of other texts, and how often each is used there; of resources and scopes by spans."""
    spans, scopes = columns.spans, columns.scopes
    of_scopes = [_of_spans(codes, spans.scope) for codes in (scopes.name, scopes.version, scopes.schema_url)]
    for where, pool, codes in (
        ("span name", pools.names, [spans.name]),
        ("status message", pools.texts, [spans.status_message]),
        ("event name", pools.texts, [columns.events.name]),
        ("trace state", pools.texts, [spans.trace_state, columns.links.trace_state]),
        ("scope", pools.texts, of_scopes),
        ("schema URL", pools.texts, [_of_spans(columns.resources.schema_url, spans.resource)]),
    ):
        used = np.concatenate(codes)
        yield where, pool, np.bincount(used[used >= 0], minlength=len(pool.texts))


def _of_spans(codes: Array, owner: Array) -> Array:
    """Return the text of the resource or scope of each span, -1 without."""
    return np.append(codes, -1)[owner]
