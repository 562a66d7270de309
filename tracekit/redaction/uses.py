"""Where matches are used: one row per kind, place and key, with the number of values and of their uses."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tracekit.redaction.kinds import KINDS, RANK, SECRETS
from tracekit.redaction.patterns import masked
from tracekit.redaction.replace import rewritten
from tracekit.stats.grouping import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tracekit.columns import Array, Columns
    from tracekit.redaction.policy import Policy
    from tracekit.redaction.tables import Pool, Pools

COLUMNS: Final = ("kind", "where", "key", "value_count", "use_count", "is_secret", "action", "example")
PLACE: Final = ("kind", "where", "key", "action")


class Uses(NamedTuple):
    """Values with their uses.

    Parameters
    ----------
    places
        Kind, place, key, and what becomes of values: each once.
    place
        Row of each value in them.
    value
        The values; the same may occur more than once.
    use_count
        How often each is used, at least once.
    """

    places: Sequence[tuple[str, str, str, str]]
    place: Array
    value: pa.LargeStringArray
    use_count: Array

    def distinct(self) -> tuple[list[int], list[str]]:
        """Return by place the number of distinct values, and the first one in the order of their texts."""
        values = self.value.take(pa.array(np.argsort(self.place, kind="stable")))
        ends = np.cumsum(np.bincount(self.place, minlength=len(self.places))).tolist()
        parts = [values.slice(low, high - low) for low, high in pairwise([0, *ends])]
        return [pc.count_distinct(part).as_py() for part in parts], [pc.min(part).as_py() for part in parts]


def joined(uses: Iterable[Uses]) -> Uses:
    """Return all uses as one."""
    codes: dict[tuple[str, str, str, str], int] = {}
    parts = list(uses)
    new = [np.array([codes.setdefault(place, len(codes)) for place in part.places], np.int64) for part in parts]
    return Uses(
        list(codes),
        np.concatenate([np.zeros(0, np.int64), *(code[part.place] for code, part in zip(new, parts, strict=True))]),
        pa.concat_arrays([pa.array([], pa.large_string()), *(part.value for part in parts)]),
        np.concatenate([np.zeros(0, np.int64), *(part.use_count for part in parts)]),
    )


def table_of(uses: Uses) -> pd.DataFrame:
    """Return one row per kind, place, key and action, secrets and most uses first."""
    table = pd.DataFrame(list(uses.places), columns=list(PLACE))
    value_count, example = uses.distinct()
    use_count = np.bincount(uses.place, uses.use_count, len(table)).astype(np.int64)
    return ordered(table.assign(value_count=value_count, use_count=use_count, example=example))


def ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Return rows by kind, place, key and action with masked examples, secrets and most uses first."""
    table = table.copy()
    table["example"] = [masked(value) for value in table["example"]]
    table["is_secret"] = table["kind"].isin(SECRETS).to_numpy(bool)
    table["rank"] = table["kind"].map(RANK)
    order = ["is_secret", "use_count", "rank", "where", "key"]
    table = table.sort_values(order, ascending=[False, False, True, True, True], ignore_index=True)
    return table[list(COLUMNS)].astype({"value_count": "int64", "use_count": "int64"})


class _Keys(NamedTuple):
    """Attribute keys as they may be shown, and what becomes of their values; None where it depends on the kind."""

    shown: Sequence[str]
    action: Sequence[str | None]


class _Found(NamedTuple):
    """Values with their kind and the row of their key."""

    kind: Array
    key: Array
    value: pa.LargeStringArray


_NO_KEY: Final = _Keys([""], [None])


def uses_of(columns: Columns, pools: Pools, policy: Policy) -> Uses:
    """Return every match with its uses in spans, events, links, resources and scopes; unused values are left out."""
    shown = rewritten(pools.keys.texts, pools.keys.found, policy).to_pylist()
    keys = _Keys(shown, [policy.action_of_key(key) for key in columns.kv.keys])
    rows, found = _of_values(columns, pools)
    values = [_used(found, keys, where, count[rows], policy) for where, count in _uses_of_values(columns)]
    texts = [uses_in(pool, where, count, policy) for where, pool, count in _uses_of_texts(columns, pools)]
    in_keys = pools.keys.found
    of_keys = _Found(in_keys.kind, in_keys.row, pools.keys.matched)
    once = np.ones(len(in_keys.row), np.int64)
    return joined([*values, *texts, _used(of_keys, _Keys(shown, [None] * len(shown)), "attribute key", once, policy)])


def uses_in(pool: Pool, where: str, use_count: Array, policy: Policy) -> Uses:
    """Return the matches in texts that have no key, with how often each text is used in a place."""
    found = _Found(pool.found.kind, np.zeros(len(pool.found.row), np.int64), pool.matched)
    return _used(found, _NO_KEY, where, use_count[pool.found.row], policy)


def _used(found: _Found, keys: _Keys, where: str, use_count: Array, policy: Policy) -> Uses:
    """Return the values that are used in a place."""
    used = np.flatnonzero(use_count)
    code, place = np.unique(found.kind[used] * len(keys.shown) + found.key[used], return_inverse=True)
    ranks, rows = np.divmod(code, max(len(keys.shown), 1))
    places = [
        (KINDS[rank], where, keys.shown[row], keys.action[row] or policy.action(KINDS[rank]))
        for rank, row in zip(ranks.tolist(), rows.tolist(), strict=True)
    ]
    return Uses(places, place, found.value.take(pa.array(used)), use_count[used])


def _of_values(columns: Columns, pools: Pools) -> tuple[Array, _Found]:
    """Return everything in attribute values, with the row of each value."""
    own, inside = pools.attributes, pools.inside
    row = np.concatenate([own.found.row, inside.owner[inside.found.row]])
    kind = np.concatenate([own.found.kind, inside.found.kind])
    return row, _Found(kind, columns.kv.key[row].astype(np.int64), pa.concat_arrays([own.matched, inside.matched]))


def _uses_of_values(columns: Columns) -> Iterator[tuple[str, Array]]:
    """Yield every place of attributes, and how often each value is used there; of resources and scopes by spans."""
    size = len(columns.kv)
    for where, table in (
        ("attribute", columns.attributes),
        ("event attribute", columns.event_attributes),
        ("link attribute", columns.link_attributes),
    ):
        yield where, counted(table.codes, size)
    for where, table, owner in (
        ("resource attribute", columns.resource_attributes, columns.spans.resource),
        ("scope attribute", columns.scope_attributes, columns.spans.scope),
    ):
        spans = np.bincount(owner[owner >= 0], minlength=len(table))
        yield where, np.bincount(table.codes, spans[table.owners()], minlength=size).astype(np.int64)


def _uses_of_texts(columns: Columns, pools: Pools) -> Iterator[tuple[str, Pool, Array]]:
    """Yield every place of other texts, and how often each is used there; of resources and scopes by spans.

    Texts without a match are not counted.
    """
    spans, scopes = columns.spans, columns.scopes
    if len(pools.names.found.row):
        yield "span name", pools.names, _use_counts([spans.name], pools.names)
    if not len(pools.texts.found.row):
        return
    of_scopes = [_of_spans(codes, spans.scope) for codes in (scopes.name, scopes.version, scopes.schema_url)]
    for where, codes in (
        ("status message", [spans.status_message]),
        ("event name", [columns.events.name]),
        ("trace state", [spans.trace_state, columns.links.trace_state]),
        ("scope", of_scopes),
        ("schema URL", [_of_spans(columns.resources.schema_url, spans.resource)]),
    ):
        yield where, pools.texts, _use_counts(codes, pools.texts)


def _use_counts(codes: Sequence[Array], pool: Pool) -> Array:
    """Return how often each text is used."""
    used = np.concatenate(codes)
    return np.bincount(used[used >= 0], minlength=len(pool.texts))


def _of_spans(codes: Array, owner: Array) -> Array:
    """Return the text of the resource or scope of each span, -1 without."""
    return np.append(codes, -1)[owner]
