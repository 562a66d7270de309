"""How many customers, tenants or users some requests came from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.what_differs.values import values_by_trace
from tracekit.redaction.keys import LABEL
from tracekit.text import plural
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.parts import Parts

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


def customers_of(traces: TraceSet | Parts, chosen: Array) -> Customers | None:
    """Return from how many customers the chosen requests came; None where (nearly) all of them do not say so.

    They are not counted in a store.

    The first of customer, tenant, organization, account and user whose key has exactly one value on (nearly) every
    request counts.
    """
    wanted = int(chosen.sum())
    if wanted < _FEWEST or not isinstance(traces, TraceSet):
        return None
    for key, noun in _keys(traces):
        found = values_by_trace(traces, key)
        is_somebody = np.array([not _is_nobody(text) for text in found.texts], bool)
        seen = pd.DataFrame({"trace": found.trace, "value": found.value})
        seen = seen[chosen[found.trace] & is_somebody[found.value]] if len(seen) else seen
        if any(_is_replaced(found.texts[value]) for value in seen["value"].unique()):
            continue
        single = seen[~seen["trace"].duplicated(keep=False)]
        if len(single) < _RECORDED * wanted or len(single) < len(seen["trace"].unique()) * _RECORDED:
            continue
        weights = traces.weights
        is_all = len(single) == wanted and bool(weights.known.all() and np.all(weights.value <= 1))
        return Customers(key, noun, int(seen["value"].nunique()), is_all)
    return None


def _keys(traces: TraceSet) -> list[tuple[str, str]]:
    """Return the keys of spans that name a customer, with what they name, in the order of preference."""
    kv = traces.columns.kv
    used = set(kv.key[np.unique(traces.columns.attributes.codes)].tolist())
    named = [(kv.keys[at], _KEY.fullmatch(kv.keys[at])) for at in sorted(used)]
    order = list(dict.fromkeys(_NOUNS.values()))
    keys = [
        (key, _NOUNS[found["who"].lower()])
        for key, found in named
        if found is not None and not key.startswith(_NOT_OF_REQUESTS)
    ]
    return sorted(keys, key=lambda one: (order.index(one[1]), one[0]))


def _is_nobody(text: str) -> bool:
    """Return whether a value stands for no customer."""
    return _NOBODY.fullmatch(text) is not None


def _is_replaced(text: str) -> bool:
    """Return whether a value is what redaction writes for many values, so that it counts nobody."""
    return LABEL.search(text) is not None and re.search(r" [0-9a-f]{12}\]", text) is None
