"""The texts of a set of traces, each once, with what their keys say; and all matches in them."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tracekit.redaction.find import found_in, is_card_number, is_distinctive
from tracekit.redaction.keys import Context, context_of, is_value_of
from tracekit.redaction.kinds import IN_PLACE, KINDS, SECRETS
from tracekit.redaction.leftover import LEAST, LONG, rows_with
from tracekit.redaction.matches import Match, Matches, merged
from tracekit.redaction.scan import blob_of
from tracekit.schema import ValueType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tracekit.columns import Array, Columns, KeyValues

_PLAIN: Final = Context()
_OF_MACHINES: Final = Context(is_machine=True, is_id=True)
_CARD_DIGITS: Final = 10**11
Path = tuple[str | int | None, ...]  # keys and places from the top of a value; None last: the key itself


@dataclass
class Pool:
    """Texts, the contexts of their keys, and the matches in them.

    Parameters
    ----------
    texts
        Each text once.
    contexts, context
        What keys say, and the row of each text in it.
    owner, path
        For texts inside of attribute values: row of the value, and keys from its top to the text.
    found
        The matches in them.
    """

    texts: pa.LargeStringArray
    contexts: Sequence[Context]
    context: Array
    owner: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    path: Sequence[Path] = ()
    found: Matches = field(default_factory=lambda: Matches.of(()))

    def search(self) -> Pool:
        """Find all matches."""
        self.found = found_in(self.texts, self.contexts, self.context)
        return self

    def text(self, row: int) -> str:
        """Return one text."""
        return str(self.texts[row].as_py())

    @property
    def matched(self) -> pa.LargeStringArray:
        """The value of each match."""
        return self.found.values_in(self.texts)


@dataclass(frozen=True)
class Pools:
    """The texts of a set: attribute values, texts inside of values, attribute keys, span names, other texts."""

    attributes: Pool
    inside: Pool
    keys: Pool
    names: Pool
    texts: Pool

    def __iter__(self) -> Iterator[Pool]:
        return iter((self.attributes, self.inside, self.keys, self.names, self.texts))


@dataclass(frozen=True)
class Known:
    """What was recognised in sets of traces.

    Parameters
    ----------
    kinds
        Kind by value, of what is removed wherever it occurs; of several kinds the first of ``find.KINDS``.
    machines
        Names of services, hosts and the like; one that equals such a value stays, unless the value is a secret.
    """

    kinds: Mapping[str, str] = field(default_factory=dict)
    machines: frozenset[str] = frozenset()

    def merged(self, other: Known) -> Known:
        """Return what was recognised in either of two."""
        kinds = {**other.kinds, **self.kinds}
        for value in self.kinds.keys() & other.kinds.keys():
            kinds[value] = min(self.kinds[value], other.kinds[value], key=KINDS.index)
        return Known(kinds, self.machines | other.machines)

    @property
    def everywhere(self) -> dict[str, str]:
        """Kind by value, without names of machines."""
        return {value: kind for value, kind in self.kinds.items() if kind in SECRETS or value not in self.machines}


def known_in(columns: Columns) -> Known:
    """Return what is recognised in a set, by its form or by its key."""
    pools = _searched(columns)
    return Known(_kinds(pools), _names_of_machines(pools.attributes))


def pools_of(columns: Columns, known: Known | None = None) -> Pools:
    """Return all texts of a set with their matches, also of what is known from other parts of the same recording.

    What was found in one place is found wherever it occurs: a name in ``user.name`` also in messages.  Only literals of
    queries and private addresses are matched in their place alone.
    """
    pools = _searched(columns)
    kinds = _kinds(pools)
    if kinds or known is not None:
        own = Known(kinds, _names_of_machines(pools.attributes))
        _everywhere(pools, (own if known is None else own.merged(known)).everywhere)
    return pools


def _searched(columns: Columns) -> Pools:
    """Return all texts of a set with the matches that their forms and keys tell."""
    kv = columns.kv
    keys = [context_of(key) for key in kv.keys]
    is_text = pa.array(kv.type == ValueType.STR)
    texts = pc.if_else(is_text, kv.text, pa.scalar(None, pa.large_string()))
    pools = Pools(
        Pool(texts, keys, kv.key).search(),
        _inside(kv).search(),
        Pool(strings(kv.keys), [_OF_MACHINES], np.zeros(len(kv.keys), np.int64)).search(),
        Pool(strings(columns.names), [_PLAIN], np.zeros(len(columns.names), np.int64)).search(),
        Pool(strings(columns.texts), [_PLAIN, _OF_MACHINES], _of_machines(columns)).search(),
    )
    _of_numbers(kv, keys, pools.inside)
    return pools


def strings(texts: Sequence[str]) -> pa.LargeStringArray:
    """Return texts as an Arrow array; half surrogates, which it cannot hold, as question marks."""
    try:
        return pa.array(texts, pa.large_string())
    except UnicodeEncodeError:
        return pa.array([text.encode("utf-8", "replace").decode() for text in texts], pa.large_string())


def _of_machines(columns: Columns) -> Array:
    """Return 1 for texts that are only trace states, schema URLs, scope names or versions, else 0."""
    spans, scopes = columns.spans, columns.scopes
    found = np.zeros(len(columns.texts) + 1, np.int64)
    for codes in (spans.trace_state, columns.links.trace_state, columns.resources.schema_url):
        found[codes] = 1
    for codes in (scopes.name, scopes.version, scopes.schema_url):
        found[codes] = 1
    found[spans.status_message] = 0
    found[columns.events.name] = 0
    return found[:-1]


# -------------------------------------------------------------------- texts inside of values


def _inside(kv: KeyValues) -> Pool:
    """Return the texts in arrays, maps and bytes, with the key that is nearest to each."""
    texts: list[str] = []
    owners: list[int] = []
    paths: list[Path] = []
    contexts: dict[Context, int] = {}
    context: list[int] = []
    rows = np.flatnonzero(np.isin(kv.type, (ValueType.ARRAY, ValueType.MAP, ValueType.BYTES)))
    for row, raw in zip(rows.tolist(), kv.text.take(pa.array(rows)).to_pylist(), strict=True):
        key = kv.keys[kv.key[row]]
        is_bytes = kv.type[row] == ValueType.BYTES
        for path, text in [((), _decoded(raw))] if is_bytes else _leaves(json.loads(raw)):
            is_key = bool(path) and path[-1] is None
            named = ".".join([key, *(part for part in path if isinstance(part, str))])
            own = _OF_MACHINES if is_key else context_of(named)
            texts.append(text)
            owners.append(row)
            paths.append(path)
            context.append(contexts.setdefault(own, len(contexts)))
    return Pool(strings(texts), list(contexts), np.array(context, np.int64), np.array(owners, np.int64), paths)


def _decoded(raw: str) -> str:
    """Return base64 as text, empty if it is none."""
    try:
        return base64.b64decode(raw).decode("utf-8")
    except (UnicodeDecodeError, binascii.Error):
        return ""


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield the path and text of every text, key and long number of a JSON value."""
    waiting: list[tuple[Path, Any]] = [(path, value)]
    while waiting:
        at, item = waiting.pop()
        if isinstance(item, str):
            yield at, item
        elif isinstance(item, int) and not isinstance(item, bool) and abs(item) >= _CARD_DIGITS:
            yield at, str(item)
        elif isinstance(item, dict):
            waiting += [((*at, key), one) for key, one in item.items()]
            yield from (((*at, key, None), key) for key in item)
        elif isinstance(item, list):
            waiting += [((*at, place), one) for place, one in enumerate(item)]


def _of_numbers(kv: KeyValues, keys: Sequence[Context], inside: Pool) -> None:
    """Add the whole numbers that are card numbers, or that their key says are personal."""
    by_key = np.array([one.kind in {"phone number", "secret", "birth date"} for one in keys] + [False])[kv.key]
    rows = np.flatnonzero((kv.type == ValueType.INT) & (by_key | (kv.integer >= _CARD_DIGITS)))
    texts = [str(number) for number in kv.integer[rows].tolist()]
    kinds = [_kind_of_number(text, keys[kv.key[row]]) for text, row in zip(texts, rows.tolist(), strict=True)]
    kept = [(row, text, kind) for row, text, kind in zip(rows.tolist(), texts, kinds, strict=True) if kind]
    first = len(inside.texts)
    inside.texts = pa.concat_arrays([inside.texts, strings([text for _, text, _ in kept])])
    inside.owner = np.concatenate([inside.owner, np.array([row for row, _, _ in kept], np.int64)])
    inside.path = [*inside.path, *((),) * len(kept)]
    inside.contexts = [*inside.contexts, _PLAIN]
    inside.context = np.concatenate([inside.context, np.full(len(kept), len(inside.contexts) - 1)])
    more = ((first + at, text, [Match(0, len(text), kind)]) for at, (_, text, kind) in enumerate(kept))
    inside.found = inside.found.plus(Matches.of(more))


def _kind_of_number(text: str, context: Context) -> str:
    """Return the kind of a number, "" for none."""
    if context.kind and is_value_of(context.kind, text) and not (context.kind == "secret" and context.is_token):
        return context.kind
    is_card = len(text) <= 19 and not (context.is_machine or context.is_id) and is_card_number(text)  # noqa: PLR2004
    return "payment card" if is_card else ""


# -------------------------------------------------------------------- once found, found everywhere


def _kinds(pools: Pools) -> dict[str, str]:
    """Return what was found and is what it is wherever it occurs, with its kind."""
    kinds: dict[str, str] = {}
    for pool in pools:
        found = pool.found.taken(~pool.found.is_of(IN_PLACE))
        for value, at in zip(found.values_in(pool.texts).to_pylist(), found.kind.tolist(), strict=True):
            kind = KINDS[at]
            if is_distinctive(kind, value) and len(value.encode()) >= LEAST:
                kinds[value] = min(kind, kinds.get(value, kind), key=KINDS.index)
    return kinds


def _everywhere(pools: Pools, kinds: Mapping[str, str]) -> None:
    """Add matches for every other occurrence of what was found."""
    for pool in pools:
        more: dict[int, list[Match]] = {}
        for row, value in sorted(set(rows_with(blob_of(pool.texts), kinds))):
            is_machine = pool.contexts[pool.context[row]].is_machine
            more.setdefault(row, []).extend(_of_value(pool.text(row), value, kinds[value], is_machine))
        if more:
            pool.found = _with_more(pool, more)


def _with_more(pool: Pool, more: Mapping[int, list[Match]]) -> Matches:
    """Return the matches of a pool with more matches in some rows, which may overlap those that are known."""
    is_in = np.isin(pool.found.row, list(more))
    known = {row: matches for row, _, matches in pool.found.taken(is_in).by_row(pool.texts)}
    both = ((row, pool.text(row), merged([*known.get(row, []), *more[row]])) for row in sorted(more))
    return pool.found.taken(~is_in).plus(Matches.of(both))


def _names_of_machines(pool: Pool) -> frozenset[str]:
    """Return the values that name services, hosts and the like: equal ones are not replaced elsewhere."""
    naming = np.array([one.is_machine for one in pool.contexts] + [False])[pool.context]
    return frozenset(pool.texts.filter(pa.array(naming)).to_pylist())


def _of_value(text: str, value: str, kind: str, is_machine: bool) -> Iterator[Match]:
    """Yield the occurrences of a value in a text; in names of machines only of secrets."""
    if is_machine and kind not in SECRETS:
        return
    begin = text.find(value)
    while begin >= 0:
        end = begin + len(value)
        if len(value.encode()) >= LONG or not (_joins(text, begin - 1, begin) or _joins(text, end, end - 1)):
            yield Match(begin, end, kind)
        begin = text.find(value, begin + 1)


def _joins(text: str, outside: int, inside: int) -> bool:
    """Return whether two neighbours are of one word."""
    return 0 <= outside < len(text) and _in_word(text[outside]) and _in_word(text[inside])


def _in_word(letter: str) -> bool:
    """Return whether a letter is part of a word."""
    return letter == "_" or (letter.isascii() and letter.isalnum())
