"""Attribute values and other texts with replacements: each new one once, and the new code of every old one."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tracekit.redaction.kinds import KINDS
from tracekit.redaction.replace import CHOSEN, replaced, rewritten, substitute
from tracekit.redaction.tables import Pool, Pools, strings
from tracekit.schema import ValueType

if TYPE_CHECKING:
    from tracekit.columns import Array, Columns, KeyValues
    from tracekit.redaction.policy import Policy
    from tracekit.redaction.tables import Path

_NUMBERS: Final = ("key", "type", "integer", "origin", "namespace", "is_indexed")


def new_values(
    columns: Columns, pools: Pools, chosen: dict[int, tuple[str, str]], policy: Policy
) -> tuple[KeyValues, Array]:
    """Return the table of values with replacements, and the new code of every old one: -1 for a dropped one."""
    kv = columns.kv
    new: dict[int, str] = {}
    kinds: dict[int, int] = {}
    for row, (text, kind) in _inside(kv, pools.inside, policy).items():
        new[row], kinds[row] = text, kind
    gone = _dropped(pools, policy) | {row for row, (_, action) in chosen.items() if action == "drop"}
    for row, (text, action) in chosen.items():
        if action != "keep":
            new[row] = substitute(text, CHOSEN, action, policy)
    new |= dict.fromkeys(gone, "")
    found = pools.attributes.found
    is_changed = np.zeros(len(kv), bool)
    is_changed[found.row] = True
    is_changed[list(new)] = True
    rows = np.flatnonzero(is_changed)
    made = _with_texts(replace(kv, text=rewritten(kv.text, found, policy)), rows, new, kinds)
    keys, new_key = new_texts(pools.keys, policy)
    made = replace(made, keys=keys, key=new_key[kv.key].astype(kv.key.dtype))
    of_key = np.full(len(keys), len(keys) < len(kv.keys))
    of_key[made.key[rows]] = True
    return _folded(made, of_key[made.key], gone)


def _dropped(pools: Pools, policy: Policy) -> set[int]:
    """Return the values with a match whose action is to drop it."""
    kinds = with_action("drop", policy)
    own, inside = (pool.found.row[pool.found.is_of(kinds)] for pool in (pools.attributes, pools.inside))
    return {*own.tolist(), *pools.inside.owner[inside].tolist()}


def _inside(kv: KeyValues, inside: Pool, policy: Policy) -> dict[int, tuple[str, int]]:
    """Return the new text and type of every array, map, bytes and number with a match."""
    by_owner: defaultdict[int, dict[Path, str]] = defaultdict(dict)
    for row, text, matches in inside.found.by_row(inside.texts):
        by_owner[int(inside.owner[row])][inside.path[row]] = replaced(text, matches, policy)
    out: dict[int, tuple[str, int]] = {}
    for owner, texts in by_owner.items():
        kind = int(kv.type[owner])
        if kind == ValueType.INT:
            out[owner] = texts[()], int(ValueType.STR)
        elif kind == ValueType.BYTES:
            out[owner] = base64.b64encode(texts[()].encode()).decode(), kind
        else:
            value = json.loads(kv.text[owner].as_py())
            for path in sorted(texts, key=_keys_last):
                value = _placed(value, path, texts[path])
            out[owner] = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False), kind
    return out


def _keys_last(path: tuple[Any, ...]) -> tuple[bool, int]:
    """Return the order of changes: values before keys, inner keys before outer ones."""
    return (bool(path) and path[-1] is None, -len(path))


def _placed(value: Any, path: tuple[Any, ...], text: str) -> Any:
    """Return a JSON value with the text at a path replaced, in place; a path that ends in None is of a key."""
    if not path:
        return text
    is_key = path[-1] is None
    *way, last = path[:-1] if is_key else path
    holder = value
    for part in way:
        holder = holder[part]
    if is_key:
        holder[text] = holder.pop(last)
    else:
        holder[last] = text
    return value


def _with_texts(kv: KeyValues, rows: Array, new: dict[int, str], kinds: dict[int, int]) -> KeyValues:
    """Return a table of values in which some rows are texts, some of them new ones; types other than STR are given."""
    if not len(rows):
        return kv
    texts = kv.text
    if new:
        mask = np.zeros(len(kv), bool)
        mask[list(new)] = True
        texts = pc.replace_with_mask(texts, pa.array(mask), strings([new[row] for row in sorted(new)]))
    kind, integer, double = kv.type.copy(), kv.integer.copy(), kv.double.copy()
    kind[rows] = int(ValueType.STR)
    kind[list(kinds)] = list(kinds.values())
    integer[rows] = 0
    double[rows] = 0
    return replace(kv, text=texts, type=kind, integer=integer, double=double)


def _folded(kv: KeyValues, changed: Array, gone: set[int]) -> tuple[KeyValues, Array]:
    """Return a table of values without equal and dropped rows, and the new code of every old one."""
    rows = np.flatnonzero(changed)
    first = np.arange(len(kv))
    if len(rows):
        parts = {name: getattr(kv, name)[rows] for name in _NUMBERS} | {"double": kv.double[rows].view(np.int64)}
        text = pc.dictionary_encode(kv.text.take(pa.array(rows)), null_encoding="encode")
        apart = {name: values for name, values in parts.items() if (values != values[0]).any()}
        frame = pd.DataFrame(apart | {"text": text.indices.to_numpy()})
        group = frame.groupby(list(frame.columns), sort=False, dropna=False).ngroup().to_numpy()
        leader = np.full(group.max() + 1, len(kv))
        np.minimum.at(leader, group, rows)
        first[rows] = leader[group]
    first[list(gone)] = -1
    kept = first == np.arange(len(kv))
    position = np.append(np.cumsum(kept) - 1, -1)
    at = np.flatnonzero(kept)
    taken = {name: getattr(kv, name)[at] for name in (*_NUMBERS, "double")}
    return replace(kv, text=kv.text.take(pa.array(at)), **taken), position[first]


def new_texts(pool: Pool, policy: Policy) -> tuple[list[str], Array]:
    """Return texts with replacements, each once, and the new code of every old one and of -1."""
    texts = rewritten(pool.texts, pool.found, policy).to_pylist()
    if not len(pool.found.row):
        return texts, np.append(np.arange(len(texts)), -1)
    codes: dict[str, int] = {}
    new = np.array([codes.setdefault(text, len(codes)) for text in texts] + [-1])
    return list(codes), new


def with_action(action: str, policy: Policy) -> set[str]:
    """Return the kinds that a policy has an action for."""
    return {kind for kind in KINDS if policy.action(kind) == action}
