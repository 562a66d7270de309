"""How many customers, tenants or users some requests came from."""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.partials import over_parts
from tracekit.analysis.what_differs.values import values_by_trace
from tracekit.redaction.keys import LABEL
from tracekit.text import plural
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from tracekit.analysis.what_differs.selection import Side
    from tracekit.columns import Array

_RECORDED: Final = 0.95  # of the requests have exactly one value: with fewer, their number says little
_FEWEST: Final = 5  # requests
_NOUNS: Final = {"customer": "customer", "tenant": "tenant", "organization": "organization", "org": "organization",
                 "account": "account", "enduser": "user", "user": "user"}  # fmt: skip
_KEY: Final = re.compile(
    rf"(?i)(?:.*[._-])?(?P<who>{'|'.join(_NOUNS)})(?:[._-]?(?:id|uuid|guid|key|slug|number|hash))?"
)
_NOBODY: Final = re.compile(r"(?i)\s*|none|null|nil|n/?a|unknown|undefined|anonymous|guest|default|0|-+")
_DONE: Final = {"mask": "masked", "drop": "dropped", "generalise": "generalised"}
_NOT_OF_REQUESTS: Final = ("cloud.", "aws.", "db.", "process.", "url.", "os.", "enduser.role", "enduser.scope")


class Customers(NamedTuple):
    """From how many customers some requests came.

    Parameters
    ----------
    key
        The attribute key that says so.
    noun
        What its values are: ``customer``, ``tenant``, ``organization``, ``account`` or ``user``.
    value_count
        Number of distinct values.
    is_all
        Whether every one of the requests has a value, and every request was recorded; otherwise there are at least as
        many.
    removed
        What redaction did with the values, so that they cannot be counted: ``mask``, ``drop`` or ``generalise``; then
        ``value_count`` is 0.  Pseudonyms can be counted.
    """

    key: str
    noun: str
    value_count: int
    is_all: bool
    removed: str = ""

    @property
    def words(self) -> str:
        """The number in words."""
        if not self.value_count:
            return f"an unknown number of {self.noun}s: redaction {_DONE[self.removed]} {self.key}"
        return f"{'' if self.is_all else 'at least '}{plural(self.value_count, self.noun)}"

    @property
    def facts(self) -> dict[str, int | str]:
        """The key and the number for a finding; what redaction did instead of a number that it hides."""
        what = {"customer_removed": self.removed} if self.removed else {"customer_count": self.value_count}
        return {"customer_key": self.key, **what}


def customers_of(side: Side, chosen: Array) -> Customers | None:
    """Return from how many customers the chosen requests came; None where not (nearly) all of them say so.

    Where redaction made their values equal, or dropped them, the number is unknown, and the result says why.

    ``chosen``: bool, one per root of the side's recording.  The first of customer, tenant, organization, account and
    user whose key has exactly one value on (nearly) every request counts.
    """
    wanted = int(chosen.sum())
    if wanted < _FEWEST:
        return None
    gone = _removed(side)
    named = list(_named(over_parts(side.traces, _used_keys, operator.or_).state | frozenset(gone)))
    every = values_by_trace(side.traces, [key for key, _ in named])
    for (key, noun), found in zip(named, every, strict=True):
        is_somebody = np.array([not _is_nobody(text) for text in found.texts], bool)
        seen = pd.DataFrame({"trace": found.trace, "value": found.value})
        seen = seen[chosen[found.trace] & is_somebody[found.value]] if len(seen) else seen
        single = seen[~seen["trace"].duplicated(keep=False)]
        is_dropped = not len(seen) and gone.get(key) == "drop"
        if is_dropped:
            return Customers(key, noun, 0, is_all=False, removed="drop")
        if len(single) < _RECORDED * wanted or len(single) < len(seen["trace"].unique()) * _RECORDED:
            continue
        if any(_is_replaced(found.texts[value]) for value in seen["value"].unique()):
            return Customers(key, noun, 0, is_all=False, removed=gone.get(key, "mask"))
        is_every = not side.weights.unknown_count and bool(np.all(side.roots.weight <= 1))
        return Customers(key, noun, int(seen["value"].nunique()), len(single) == wanted and is_every)
    return None


def _removed(side: Side) -> dict[str, str]:
    """Return what redaction did with keys that name customers, and that it found on (nearly) every trace."""
    if not isinstance(side.traces, TraceSet):
        return {}
    removed = side.traces.redacted
    removed = removed[(removed["where"] == "attribute") & removed["action"].isin(list(_DONE))]
    used = removed.groupby(["key", "action"])["use_count"].sum()
    enough = used[used >= _RECORDED * max(len(side.traces), 1)].index
    return {key: action for key, action in enough if _names_a_customer(key)}


def _names_a_customer(key: str) -> bool:
    """Return whether the values of a key may name a customer."""
    return _KEY.fullmatch(key) is not None and not key.startswith(_NOT_OF_REQUESTS)


def _used_keys(traces: TraceSet) -> frozenset[str]:
    """Return the keys of spans of a set that may name a customer."""
    kv = traces.columns.kv
    used = {kv.keys[at] for at in np.unique(kv.key[np.unique(traces.columns.attributes.pairs()[1])]).tolist()}
    return frozenset(key for key in used if _names_a_customer(key))


def _named(keys: frozenset[str]) -> list[tuple[str, str]]:
    """Return keys with what they name, in the order of preference."""
    order = list(dict.fromkeys(_NOUNS.values()))
    found = [(key, _NOUNS[named["who"].lower()]) for key in keys if (named := _KEY.fullmatch(key)) is not None]
    return sorted(found, key=lambda one: (order.index(one[1]), one[0]))


def _is_nobody(text: str) -> bool:
    """Return whether a value stands for no customer."""
    return _NOBODY.fullmatch(text) is not None


def _is_replaced(text: str) -> bool:
    """Return whether a value is what redaction writes for several values, so that it counts nobody.

    Pseudonyms are as many as the values were.
    """
    return LABEL.search(text) is not None and re.search(r" [0-9a-f]{12}\]", text) is None
