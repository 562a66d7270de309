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

if TYPE_CHECKING:
    from tracekit.analysis.what_differs.selection import Side
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_RECORDED: Final = 0.95  # of the requests have exactly one value: with fewer, their number says little
_FEWEST: Final = 5  # requests
_NOUNS: Final = {"customer": "customer", "tenant": "tenant", "organization": "organization", "org": "organization",
                 "account": "account", "enduser": "user", "user": "user"}  # fmt: skip
_KEY: Final = re.compile(
    rf"(?i)(?:.*[._-])?(?P<who>{'|'.join(_NOUNS)})(?:[._-]?(?:id|uuid|guid|key|slug|number|hash))?"
)
_NOBODY: Final = re.compile(r"(?i)\s*|none|null|nil|n/?a|unknown|undefined|anonymous|guest|default|0|-+")
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
    """

    key: str
    noun: str
    value_count: int
    is_all: bool

    @property
    def words(self) -> str:
        """The number in words."""
        return f"{'' if self.is_all else 'at least '}{plural(self.value_count, self.noun)}"


def customers_of(side: Side, chosen: Array) -> Customers | None:
    """Return from how many customers the chosen requests came; None where (nearly) all of them do not say so.

    ``chosen``: bool, one per root of the side's recording.  The first of customer, tenant, organization, account and
    user whose key has exactly one value on (nearly) every request counts.
    """
    wanted = int(chosen.sum())
    if wanted < _FEWEST:
        return None
    for key, noun in _named(over_parts(side.traces, _used_keys, operator.or_).state):
        found = values_by_trace(side.traces, key)
        is_somebody = np.array([not _is_nobody(text) for text in found.texts], bool)
        seen = pd.DataFrame({"trace": found.trace, "value": found.value})
        seen = seen[chosen[found.trace] & is_somebody[found.value]] if len(seen) else seen
        if any(_is_replaced(found.texts[value]) for value in seen["value"].unique()):
            continue
        single = seen[~seen["trace"].duplicated(keep=False)]
        if len(single) < _RECORDED * wanted or len(single) < len(seen["trace"].unique()) * _RECORDED:
            continue
        is_every = not side.weights.unknown_count and bool(np.all(side.roots.weight <= 1))
        return Customers(key, noun, int(seen["value"].nunique()), len(single) == wanted and is_every)
    return None


def _used_keys(traces: TraceSet) -> frozenset[str]:
    """Return the keys of spans of a set that may name a customer."""
    kv = traces.columns.kv
    used = {kv.keys[at] for at in np.unique(kv.key[np.unique(traces.columns.attributes.codes)]).tolist()}
    return frozenset(key for key in used if _KEY.fullmatch(key) and not key.startswith(_NOT_OF_REQUESTS))


def _named(keys: frozenset[str]) -> list[tuple[str, str]]:
    """Return keys with what they name, in the order of preference."""
    order = list(dict.fromkeys(_NOUNS.values()))
    found = [(key, _NOUNS[named["who"].lower()]) for key in keys if (named := _KEY.fullmatch(key)) is not None]
    return sorted(found, key=lambda one: (order.index(one[1]), one[0]))


def _is_nobody(text: str) -> bool:
    """Return whether a value stands for no customer."""
    return _NOBODY.fullmatch(text) is not None


def _is_replaced(text: str) -> bool:
    """Return whether a value is what redaction writes for many values, so that it counts nobody."""
    return LABEL.search(text) is not None and re.search(r" [0-9a-f]{12}\]", text) is None
