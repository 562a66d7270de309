"""Matches of personal data and secrets by kind, place and key, which add up over parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from tracekit.attributes import Codes, text_hashes, texts_of
from tracekit.redaction.keys import Context
from tracekit.redaction.tables import Pool, pools_of, strings
from tracekit.redaction.uses import PLACE, ordered, uses_in, uses_of
from tracekit.stats.distinct_counts import DistinctCounts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracekit.columns import Array, Columns
    from tracekit.redaction.policy import Policy
    from tracekit.redaction.tables import Known, Pools
    from tracekit.redaction.uses import Uses
    from tracekit.traces import TraceSet

_OF_KEYS: Final = "attribute key"
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, eq=False)
class Matches:
    """What was found in some traces.

    Parameters
    ----------
    values
        Distinct values by ``kind``, ``where``, ``key`` and ``action``, with their uses.
    examples
        By the same, the first value in the order of their texts.
    scanned
        Distinct texts by where they are.
    """

    values: DistinctCounts
    examples: Mapping[tuple[str, ...], str]
    scanned: DistinctCounts

    @classmethod
    def of(cls, uses: Uses, scanned: DistinctCounts) -> Matches:
        """Return matches in some texts."""
        keys = {name: np.array([place[at] for place in uses.places], object) for at, name in enumerate(PLACE)}
        values = DistinctCounts.of(keys, uses.place, _hashes(uses.value.to_pylist()), uses.use_count.astype(np.float64))
        return cls(values, dict(zip(uses.places, uses.distinct()[1], strict=True)), scanned)

    def plus(self, other: Matches) -> Matches:
        """Return those of two parts."""
        examples = {**self.examples, **other.examples}
        for place in self.examples.keys() & other.examples.keys():
            examples[place] = min(self.examples[place], other.examples[place])
        return Matches(self.values.plus(other.values), examples, self.scanned.plus(other.scanned))

    def merged(self, other: Matches) -> Matches:
        """Return those of two parts with a limited number of values."""
        return self.plus(other).limited()

    def limited(self) -> Matches:
        """Return the same with a limited number of values."""
        return Matches(self.values.limited(), self.examples, self.scanned.limited())

    def table(self) -> pd.DataFrame:
        """Return ``Privacy.table``."""
        table = pd.DataFrame(self.values.keys, dtype=object)
        count = self.values.count
        uses = np.where(table["where"] == _OF_KEYS, count, self.values.use_count)  # a key is one, in however many parts
        example = [self.examples[place] for place in table[list(PLACE)].itertuples(index=False, name=None)]
        return ordered(table.assign(value_count=count, use_count=uses, example=example))


@dataclass(frozen=True, eq=False)
class MatchesOf:
    """Returns what is found in a part.

    Parameters
    ----------
    policy
        What becomes of it.
    known
        What is recognised in any part; None for traces in memory.
    is_part
        Whether the traces are a part of a store, so that the state is limited in size.
    """

    policy: Policy
    known: Known | None
    is_part: bool

    def __call__(self, traces: TraceSet) -> Matches:
        """Return what is found in some traces."""
        columns = traces.columns
        pools = pools_of(columns, self.known)
        found = Matches.of(uses_of(columns, pools, self.policy), _scanned(columns, pools))
        return found.limited() if self.is_part else found


def matches_in(lines: pd.DataFrame, policy: Policy) -> Matches:
    """Return the matches in log messages; ValueError without messages."""
    if not isinstance(lines, pd.DataFrame) or "message" not in lines:
        raise ValueError(f"expected log lines with a column message, such as tk.logs(...).lines, found {type(lines)}")
    codes, texts = pd.factorize(lines["message"].to_numpy(object))
    messages = [str(text) for text in texts]
    pool = Pool(strings(messages), [Context()], np.zeros(len(messages), np.int64)).search()
    use = np.bincount(codes[codes >= 0], minlength=len(messages))
    return Matches.of(uses_in(pool, "log message", use, policy), _distinct([("log message", _hashes(messages))]))


def _scanned(columns: Columns, pools: Pools) -> DistinctCounts:
    """Return the distinct texts that are searched: values with their keys, texts inside of values, and all others."""
    kv = columns.kv
    own = _hashes(texts_of(kv, np.arange(len(kv))))
    own = _mixed(own, _hashes(kv.keys)[kv.key] + kv.type.astype(np.uint64)) if len(kv) else own
    inside = _mixed(_hashes(pools.inside.texts.to_pylist()), own[pools.inside.owner])
    inside = _mixed(inside, _hashes([repr(path) for path in pools.inside.path]))
    others = [(name, _hashes(getattr(pools, name).texts.to_pylist())) for name in ("keys", "names", "texts")]
    return _distinct([("attributes", own), ("inside", inside), *others])


def _distinct(groups: Sequence[tuple[str, Array]]) -> DistinctCounts:
    """Return the distinct hashes of each group."""
    group = np.repeat(np.arange(len(groups)), [len(hashes) for _, hashes in groups])
    value = np.concatenate([hashes for _, hashes in groups])
    keys = {"pool": np.array([name for name, _ in groups], object)}
    return DistinctCounts.of(keys, group, value, np.ones(len(value)))


def _hashes(texts: Sequence[str]) -> Array:
    """Return a hash of each text, the same in every part."""
    return text_hashes(Codes(np.arange(len(texts)), list(texts)))


def _mixed(first: Array, second: Array) -> Array:
    """Return a hash of pairs of hashes."""
    return np.asarray(pd.util.hash_array(first * _MIX ^ second))
