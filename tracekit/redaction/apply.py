"""The columns of a set with personal data and secrets replaced, on distinct values, and what was removed."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tracekit.ragged import Ragged
from tracekit.redaction.find import is_distinctive
from tracekit.redaction.keys import Context
from tracekit.redaction.kinds import IN_PLACE, KINDS
from tracekit.redaction.leftover import LEAST, rows_with
from tracekit.redaction.new_values import new_texts, new_values, with_action
from tracekit.redaction.replace import CHOSEN, replaced
from tracekit.redaction.scan import blob_of
from tracekit.redaction.tables import Known, Pool, Pools, pools_of, strings
from tracekit.redaction.uses import Uses, joined, table_of, uses_of
from tracekit.schema import ValueType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracekit.columns import Array, Columns, KeyValues
    from tracekit.redaction.policy import Policy

NOTE: Final = "redaction"
"""Note of a set that says what was removed, as JSON; it travels with stores."""
_SAID: Final = ("kind", "where", "key", "action", "value_count", "use_count")


@dataclass(frozen=True)
class Redacted:
    """A redacted set.

    Parameters
    ----------
    columns
        The columns; nothing that was removed is left in them.
    removed
        One row per kind, place, key and action: ``value_count`` distinct values, ``use_count`` uses.  What was removed
        before is only in the note of the columns.
    searched
        Removed values that finished files can be searched for; never written anywhere.
    nowhere
        Those of them that are what they are wherever they occur: also in other sets of the same recording.
    left
        Removed values that are in the columns all the same, in another place where they are no such value.
    """

    columns: Columns
    removed: pd.DataFrame
    searched: frozenset[str]
    nowhere: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()


def redacted_columns(columns: Columns, policy: Policy, known: Known | None = None) -> Redacted:
    """Return columns in which a policy has been applied to every distinct text.

    ``known``: what was recognised in other parts of the same recording; it is replaced here too.  Ids, times, numbers
    other than personal ones, and the structure of traces stay as they are.
    """
    pools = pools_of(columns, known)
    chosen = _chosen(columns.kv, policy)
    _set_apart(pools, set(chosen), policy)
    uses = joined([uses_of(columns, pools, policy), _uses_of_chosen(columns, chosen)])
    values, everywhere = _searched_for(pools)
    values |= {text for text, action in chosen.values() if action != "keep" and _is_searched(text, CHOSEN)}
    kv, new_code = new_values(columns, pools, chosen, policy)
    names, new_name = new_texts(pools.names, policy)
    texts, new_text = new_texts(pools.texts, policy)
    made = _recoded(columns, kv, new_code, (names, new_name), (texts, new_text))
    made = replace(
        made,
        sources=redacted_frame(columns.sources, policy, values),
        issues=redacted_frame(columns.issues, policy, values),
    )
    removed = table_of(uses)
    removed = removed.loc[removed["action"] != "keep", list(_SAID)].reset_index(drop=True)
    earlier = removed_from(columns)
    if len(removed):
        both = pd.concat([earlier, removed], ignore_index=True) if len(earlier) else removed
        made = replace(made, notes={**columns.notes, NOTE: both.to_json(orient="records")})
    left = _still_there(made, values)
    searched = frozenset(values - left)
    return Redacted(made, removed, searched, searched & everywhere, frozenset(left))


def removed_from(columns: Columns) -> pd.DataFrame:
    """Return what was removed from a set, as its note says; empty if nothing was."""
    return removed_in(columns.notes)


def removed_in(notes: Mapping[str, str]) -> pd.DataFrame:
    """Return what notes say was removed; empty if they say nothing of it."""
    rows = json.loads(notes.get(NOTE, "[]"))
    frame = pd.DataFrame(rows, columns=list(_SAID))
    return frame.astype({"value_count": "int64", "use_count": "int64"})


def joined_notes(notes: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the notes of several sets by key: the last of each, and of removals all."""
    removed = [row for key, value in notes if key == NOTE for row in json.loads(value)]
    distinct = list({json.dumps(row, sort_keys=True): row for row in removed}.values())
    return dict(notes) | ({NOTE: json.dumps(distinct, ensure_ascii=False)} if distinct else {})


def _searched_for(pools: Pools) -> tuple[set[str], set[str]]:
    """Return the matches that finished files are searched for, and those of them that are what they are everywhere."""
    values: set[str] = set()
    everywhere: set[str] = set()
    for pool in pools:
        texts, kinds = pool.matched, pool.found.kind
        for rank in np.unique(kinds).tolist():
            mine = pc.unique(texts.filter(pa.array(kinds == rank)))
            long = mine.filter(pc.greater_equal(pc.binary_length(mine), LEAST)).to_pylist()
            searched = {value for value in long if _is_searched(value, KINDS[rank])}
            values |= searched
            everywhere |= set(long) if KINDS[rank] not in IN_PLACE else set()
    return values, everywhere


def _is_searched(value: str, kind: str) -> bool:
    """Return whether finished files are searched for a value: common words and short numbers are not."""
    size = len(value.encode("utf-8", "surrogatepass"))
    if kind in IN_PLACE or kind == CHOSEN:
        mixed = any(map(str.isdigit, value)) and any(map(str.isalpha, value))
        return size >= 16 or (size >= 8 and mixed)  # noqa: PLR2004 - not words
    return size >= LEAST and is_distinctive(kind, value)


# -------------------------------------------------------------------- keys that the policy names


def _chosen(kv: KeyValues, policy: Policy) -> dict[int, tuple[str, str]]:
    """Return text and action of every value whose key the policy names."""
    actions = {at: action for at, key in enumerate(kv.keys) if (action := policy.action_of_key(key)) is not None}
    rows = np.flatnonzero(np.isin(kv.key, list(actions))).tolist()
    texts = kv.text.take(pa.array(rows, pa.int64())).to_pylist()
    return {row: (_spelt(kv, row, text), actions[int(kv.key[row])]) for row, text in zip(rows, texts, strict=True)}


def _spelt(kv: KeyValues, row: int, text: str | None) -> str:
    """Return a value as text."""
    if text is not None:
        return text
    return repr(float(kv.double[row])) if kv.type[row] == ValueType.DOUBLE else str(kv.integer[row])


def _uses_of_chosen(columns: Columns, chosen: dict[int, tuple[str, str]]) -> Uses:
    """Return the values of keys that the policy names, with their uses."""
    kv = columns.kv
    use = np.zeros(len(kv), np.int64)
    tables = (columns.attributes, columns.event_attributes, columns.link_attributes)
    for table in (*tables, columns.resource_attributes, columns.scope_attributes) if chosen else ():
        use += np.bincount(table.codes, minlength=len(kv))
    used = [row for row in chosen if use[row]]
    places = [(CHOSEN, "attribute", kv.keys[kv.key[row]], chosen[row][1]) for row in used]
    codes = {place: at for at, place in enumerate(dict.fromkeys(places))}
    place = np.array([codes[one] for one in places], np.int64)
    return Uses(list(codes), place, strings([chosen[row][0] for row in used]), use[used])


def _set_apart(pools: Pools, chosen: set[int], policy: Policy) -> None:
    """Remove the matches that the policy keeps, and those in values whose key it names."""
    kept = with_action("keep", policy)
    for pool in pools:
        pool.found = pool.found.taken(~pool.found.is_of(kept))
    own, inside = pools.attributes.found, pools.inside.found
    pools.attributes.found = own.taken(~np.isin(own.row, list(chosen)))
    pools.inside.found = inside.taken(~np.isin(pools.inside.owner[inside.row], list(chosen)))


def _recoded(
    columns: Columns, kv: KeyValues, code: Array, names: tuple[list[str], Array], texts: tuple[list[str], Array]
) -> Columns:
    """Return columns that refer to new tables of values, names and texts."""
    new, code = texts[1].astype(np.int32), code.astype(np.int32)
    spans, links, scopes = columns.spans, columns.links, columns.scopes
    return replace(
        columns,
        kv=kv,
        names=names[0],
        texts=texts[0],
        spans=replace(
            spans,
            name=names[1].astype(np.int32)[spans.name],
            status_message=new[spans.status_message],
            trace_state=new[spans.trace_state],
        ),
        events=replace(columns.events, name=new[columns.events.name]),
        links=replace(links, trace_state=new[links.trace_state]),
        resources=replace(columns.resources, schema_url=new[columns.resources.schema_url]),
        scopes=replace(scopes, name=new[scopes.name], version=new[scopes.version], schema_url=new[scopes.schema_url]),
        attributes=_recoded_values(columns.attributes, code),
        event_attributes=_recoded_values(columns.event_attributes, code),
        link_attributes=_recoded_values(columns.link_attributes, code),
        resource_attributes=_recoded_values(columns.resource_attributes, code),
        scope_attributes=_recoded_values(columns.scope_attributes, code),
    )


def _recoded_values(table: Ragged, code: Array) -> Ragged:
    """Return an attribute table with new codes, without dropped attributes."""
    codes = code[table.codes]
    kept = codes >= 0
    if kept.all():
        return Ragged(table.offsets, codes)
    counts = np.bincount(table.owners()[kept], minlength=len(table))
    return Ragged.from_counts(counts, codes[kept])


# -------------------------------------------------------------------- sources, issues, and texts of other origin


def redacted_frame(frame: pd.DataFrame, policy: Policy, values: set[str]) -> pd.DataFrame:
    """Return a frame of sources or issues with replacements in its texts; what is found is added to the values."""
    out = frame.copy()
    for name in out.columns:
        if pd.api.types.is_string_dtype(out[name].dtype) or out[name].dtype == object:
            is_text = out[name].map(lambda value: isinstance(value, str)).to_numpy(bool)
            if is_text.any():
                column = out[name].astype(object)
                column[is_text] = redacted_texts(column[is_text].tolist(), policy, values=values)
                out[name] = column.astype(frame[name].dtype)
    return out


def redacted_texts(
    texts: Sequence[str], policy: Policy, *, context: Context | None = None, values: set[str] | None = None
) -> list[str]:
    """Return texts with their matches replaced.

    Parameters
    ----------
    texts
        Any texts.
    policy
        What becomes of matches.
    context
        What the key of the texts says; nothing by default.
    values
        Values to replace wherever they occur; what is found is added to them.
    """
    known = set() if values is None else values
    pool = Pool(strings(list(texts)), [context or Context()], np.zeros(len(texts), np.int64)).search()
    whole = blob_of(pool.texts)
    out = list(texts)
    left: defaultdict[int, set[str]] = defaultdict(set)
    for row, value in rows_with(whole, known):
        left[row].add(value)
    for row, _, matches in pool.found.by_row(pool.texts):
        acted = [match for match in matches if policy.action(match.kind) != "keep"]
        known |= {out[row][m.begin : m.end] for m in acted if _is_searched(out[row][m.begin : m.end], m.kind)}
        out[row] = replaced(out[row], acted, policy)
    for row, found in left.items():
        for value in sorted(found, key=len, reverse=True):
            out[row] = out[row].replace(value, "[removed]")
    return out


def _still_there(columns: Columns, values: set[str]) -> set[str]:
    """Return the values that a redacted set contains all the same: those that are no secret in another place."""
    found: set[str] = set()
    for texts in (columns.kv.text, strings(columns.names), strings(columns.texts), strings(columns.kv.keys)):
        found |= {value for _, value in rows_with(blob_of(texts), values)}
    return found
