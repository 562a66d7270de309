"""Concatenation of sets of columns with shared tables of names, texts, attributes, resources and scopes.

Codes mean rows of tables, so both are a matter of ``Maps``: what every code of a set is in the other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tracekit.columns import Array, Columns, KeyValues, ResourceColumns, ScopeColumns, TraceFacts, take
from tracekit.loading.building.batches import Batch, Growing, ragged
from tracekit.loading.building.pool import Texts, fold, take_kv
from tracekit.loading.building.trace_set import recoded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracekit.ragged import Ragged


@dataclass(frozen=True, slots=True)
class Maps:
    """The new code of every old one, by kind; the last entry is for -1, which means none."""

    name: Array
    text: Array
    kv: Array
    resource: Array
    scope: Array


def recode(columns: Columns, maps: Maps) -> Columns:
    """Return the columns with other codes; the tables do not change."""
    spans, events, links, scopes = columns.spans, columns.events, columns.links, columns.scopes
    return replace(
        recoded(columns, maps.kv),
        spans=replace(
            spans,
            name=maps.name[spans.name],
            status_message=maps.text[spans.status_message],
            trace_state=maps.text[spans.trace_state],
            resource=maps.resource[spans.resource],
            scope=maps.scope[spans.scope],
        ),
        events=replace(events, name=maps.text[events.name]),
        links=replace(links, trace_state=maps.text[links.trace_state]),
        resources=replace(columns.resources, schema_url=maps.text[columns.resources.schema_url]),
        scopes=replace(
            scopes,
            name=maps.text[scopes.name],
            version=maps.text[scopes.version],
            schema_url=maps.text[scopes.schema_url],
        ),
    )


def closed(codes: Any) -> Array:
    """Return a map with the entry for -1."""
    return np.append(np.asarray(codes, np.int32), np.int32(-1))


# -------------------------------------------------------------------- removing unused entries


def compact(columns: Columns) -> Columns:
    """Return the columns without the names, texts, attributes, resources and scopes that no span uses."""
    spans, events, links = columns.spans, columns.events, columns.links
    resource, resources = _used(len(columns.resources), spans.resource)
    scope, scopes = _used(len(columns.scopes), spans.scope)
    columns = replace(
        columns,
        resources=take(columns.resources, resources),
        resource_attributes=columns.resource_attributes.take(resources),
        scopes=take(columns.scopes, scopes),
        scope_attributes=columns.scope_attributes.take(scopes),
    )
    owners = ("attributes", "event_attributes", "link_attributes", "resource_attributes", "scope_attributes")
    kv, kvs = _used(len(columns.kv), *(getattr(columns, owner).codes for owner in owners))
    name, names = _used(len(columns.names), spans.name)
    own_scopes = columns.scopes
    text, texts = _used(
        len(columns.texts),
        *(spans.status_message, spans.trace_state, events.name, links.trace_state, columns.resources.schema_url),
        *(own_scopes.name, own_scopes.version, own_scopes.schema_url),
    )
    return replace(
        recode(columns, Maps(name, text, kv, resource, scope)),
        kv=take_kv(columns.kv, kvs),
        names=[columns.names[code] for code in names.tolist()],
        texts=[columns.texts[code] for code in texts.tolist()],
    )


def _used(size: int, *columns: Array) -> tuple[Array, Array]:
    """Return the map to the codes in use, and those codes."""
    seen = np.zeros(size + 1, bool)
    for codes in columns:
        seen[codes] = True  # -1 marks the last one
    used = np.flatnonzero(seen[:-1])
    codes = np.full(size + 1, -1, np.int32)
    codes[used] = np.arange(len(used), dtype=np.int32)
    return codes, used


# -------------------------------------------------------------------- merging


def merge(parts: list[Columns]) -> Columns:
    """Return the columns of several sets concatenated in this order; the list is emptied."""
    if len(parts) == 1:
        return parts.pop()
    frames = {name: getattr(parts[0], name) for name in ("sources", "issues", "notes")}
    names, texts = Texts(), Texts()
    kv, kv_maps = joined_kv([part.kv for part in parts])
    resources, scopes = Interned(), Interned()
    facts = joined_facts([part.facts for part in parts])
    grown = Growing()
    parts.reverse()
    for kv_map in kv_maps:
        part = parts.pop()
        text = closed(list(map(texts.code, part.texts)))
        name = closed(list(map(names.code, part.names)))
        own, owned = part.resources, part.resource_attributes
        resource = resources.add(kv_map, owned, [text[own.schema_url]], own.dropped_attributes)
        parts_of_scope = [text[code] for code in (part.scopes.name, part.scopes.version, part.scopes.schema_url)]
        scope = scopes.add(kv_map, part.scope_attributes, parts_of_scope, part.scopes.dropped_attributes)
        moved = recode(part, Maps(name, text, kv_map, resource, scope))
        grown.add(
            Batch(
                moved.spans,
                moved.attributes,
                moved.events,
                moved.event_attributes,
                moved.links,
                moved.link_attributes,
            )
        )
    batch = grown.all()
    return Columns(
        **frames,
        **{name: getattr(batch, name) for name in batch.__slots__},
        resources=ResourceColumns(*resources.columns(1)),
        resource_attributes=resources.attributes(),
        scopes=ScopeColumns(*scopes.columns(3)),
        scope_attributes=scopes.attributes(),
        kv=kv,
        names=names.list(),
        texts=texts.list(),
        facts=facts,
    )


def joined_kv(tables: Sequence[KeyValues]) -> tuple[KeyValues, list[Array]]:
    """Return one attribute table, and the new code of each code of each table."""
    import pyarrow as pa  # noqa: PLC0415 - as in ``pool``

    keys, namespaces = Texts(), Texts()
    key = [closed(list(map(keys.code, kv.keys)))[kv.key] for kv in tables]
    namespace = [closed(list(map(namespaces.code, kv.namespaces)))[kv.namespace] for kv in tables]

    def end_to_end(column: str) -> Array:
        return np.concatenate([getattr(kv, column) for kv in tables])

    kv, code = fold(
        KeyValues(
            keys=keys.list(),
            key=np.concatenate(key),
            type=end_to_end("type"),
            text=pa.concat_arrays([kv.text for kv in tables]),
            integer=end_to_end("integer"),
            double=end_to_end("double"),
            origin=end_to_end("origin"),
            namespace=np.concatenate(namespace),
            namespaces=namespaces.list(),
            is_indexed=end_to_end("is_indexed"),
        )
    )
    if code is None:
        code = np.arange(len(kv), dtype=np.int32)
    ends = np.cumsum([len(table) for table in tables])[:-1]
    return kv, [closed(codes) for codes in np.split(code, ends)]


class Interned:
    """Resources or scopes; those with equal texts and attributes, in any order, are the same."""

    def __init__(self) -> None:
        self._codes: dict[tuple[Any, ...], int] = {}
        self._rows: list[tuple[list[int], tuple[int, ...]]] = []

    def add(self, kv_map: Array, table: Ragged, texts: Sequence[Array], dropped: Array) -> Array:
        """Return the map from the rows of a table to those of the merged table."""
        numbers = list(zip(*(column.tolist() for column in (*texts, dropped)), strict=True))
        codes = []
        for row, own in enumerate(numbers):
            attributes = kv_map[table.of(row)].tolist()
            code = self._codes.setdefault((tuple(sorted(attributes)), own), len(self._codes))
            if code == len(self._rows):
                self._rows.append((attributes, own))
            codes.append(code)
        return closed(codes)

    def columns(self, texts: int) -> list[Array]:
        """Return the texts and the dropped counts."""
        kinds = [np.int32] * texts + [np.uint32]
        return [np.array([own[at] for _, own in self._rows], kind) for at, kind in enumerate(kinds)]

    def attributes(self) -> Ragged:
        """Return the attribute codes of all rows."""
        return ragged([attributes for attributes, _ in self._rows])


def joined_facts(tables: Sequence[TraceFacts]) -> TraceFacts:
    """Return one table of facts by trace: of several, the longest duration and any exceeded limit."""

    def end_to_end(column: Callable[[TraceFacts], Array]) -> Array:
        return np.concatenate([column(table) for table in tables])

    hi, lo = end_to_end(lambda facts: facts.trace_hi), end_to_end(lambda facts: facts.trace_lo)
    duration = end_to_end(lambda facts: facts.reported_duration_ns)
    limited = end_to_end(lambda facts: facts.limit_exceeded)
    order = np.lexsort((lo, hi))
    hi, lo = hi[order], lo[order]
    first = np.flatnonzero(np.append(True, (hi[1:] != hi[:-1]) | (lo[1:] != lo[:-1]))[: len(hi)])
    if not len(first):
        return tables[0]
    return TraceFacts(
        hi[first],
        lo[first],
        np.maximum.reduceat(duration[order], first),
        np.logical_or.reduceat(limited[order], first),
    )
