"""What stands in the detail pane: attributes, events, links, resource and origin of spans, as columns.

The same columns serve all spans of a small trace at once, and a single span of a large one when it is selected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.attributes import texts_of
from tracekit.schema import RELATIONS
from tracekit.views.text import VALUE_LIMIT, clean, short_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracekit.columns import Array, Ragged
    from tracekit.traces import TraceSet

NO_TIME: Final = -float(2**53)  # an event without a time; the same in tracekit.js


class Strings:
    r"""The texts of a payload, each once and cleaned; number 0 is the empty one.

    Examples
    --------
    >>> strings = Strings()
    >>> strings.add(["GET /", "GET /", "a\u202eb"]).tolist(), len(strings.texts)
    ([1, 1, 2], 3)
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {"": 0}

    @property
    def texts(self) -> list[str]:
        """All texts, by number."""
        return list(self._numbers)

    def add(self, texts: Iterable[str]) -> Array:
        """Return the numbers of these texts.

        Parameters
        ----------
        texts
            As recorded; line breaks are kept, what is longer than 32,768 characters is cut.

        Returns
        -------
        numpy.ndarray
            uint32.
        """
        numbers = self._numbers
        cleaned = (clean(text, limit=VALUE_LIMIT, block=True) for text in texts)
        return np.array([numbers.setdefault(text, len(numbers)) for text in cleaned], np.uint32)

    def add_codes(self, codes: Array, labels: list[str]) -> Array:
        """Return the numbers of coded texts, each distinct one looked at once; -1 is the empty text.

        Parameters
        ----------
        codes
            Into ``labels``, -1 for nothing.
        labels
            Texts.

        Returns
        -------
        numpy.ndarray
            uint32, one a code.
        """
        used, inverse = np.unique(codes, return_inverse=True)
        return self.add([labels[code] if code >= 0 else "" for code in used])[inverse].astype(np.uint32)


def detail_columns(traces: TraceSet, rows: Array, base_ns: int, strings: Strings) -> dict[str, Array]:
    """Return the columns of the detail pane for some spans.

    Parameters
    ----------
    traces
        The set they belong to.
    rows
        Rows of ``spans``, in the order of the view.
    base_ns
        Time 0 of the view.
    strings
        Texts are added here.

    Returns
    -------
    dict
        ``spanHi spanLo parHi parLo status src rec off``, one entry a span; ``attrOff attrK attrV``; ``res`` with
        ``resOff resK resV``; ``evOff evAt evName evAttrOff evAttrK evAttrV``; ``lnOff lnText``.

    Examples
    --------
    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> frame = pd.DataFrame({"trace_id": ["a1"], "span_id": ["b2"], "name": "x", "start_ns": 1, "end_ns": 2})
    >>> detail_columns(TraceSet.from_spans(frame), np.array([0]), 0, Strings())["spanLo"]
    array([178], dtype=uint32)
    """
    columns = traces.columns
    spans = columns.spans
    resources, resource = np.unique(spans.resource[rows], return_inverse=True)
    return {
        **_halves("span", spans.span_id[rows]),
        **_halves("par", spans.parent_id[rows]),
        "status": strings.add_codes(spans.status_message[rows], columns.texts),
        "src": spans.source[rows].astype(np.uint32),
        "rec": spans.record_number[rows].astype(np.float64),
        "off": spans.byte_offset[rows].astype(np.float64),
        **_pairs(traces, "attr", columns.attributes, rows, strings),
        "res": resource.astype(np.uint32),
        **_pairs(traces, "res", columns.resource_attributes, resources, strings),
        **_events(traces, rows, base_ns, strings),
        **_links(traces, rows, strings),
    }


def source_names(traces: TraceSet) -> list[str]:
    """Return the names of the sources as they are shown: cleaned, without the folder they share.

    Parameters
    ----------
    traces
        Any set.

    Returns
    -------
    list of str
        One a row of ``sources``.
    """
    return [clean(name) for name in short_names([str(uri) for uri in traces.columns.sources["uri"]])]


def _halves(name: str, ids: Array) -> dict[str, Array]:
    """Return 64-bit ids as two columns of 32 bits."""
    ids = ids.astype(np.uint64)
    return {f"{name}Hi": (ids >> np.uint64(32)).astype(np.uint32), f"{name}Lo": ids.astype(np.uint32)}


def _pairs(traces: TraceSet, name: str, table: Ragged, rows: Array, strings: Strings) -> dict[str, Array]:
    """Return keys and values of the attributes of some rows."""
    held = table.take(rows)
    kv = traces.columns.kv
    used, inverse = np.unique(held.codes, return_inverse=True)
    keys = strings.add([_key(traces, int(code)) for code in used])
    values = strings.add(texts_of(kv, used))
    return {
        f"{name}Off": held.offsets.astype(np.uint32),
        f"{name}K": keys[inverse].astype(np.uint32),
        f"{name}V": values[inverse].astype(np.uint32),
    }


def _key(traces: TraceSet, code: int) -> str:
    """Return an attribute's key, with X-Ray's metadata namespace before it."""
    kv = traces.columns.kv
    namespace = int(kv.namespace[code])
    return f"{kv.namespaces[namespace]}: {kv.keys[kv.key[code]]}" if namespace >= 0 else kv.keys[kv.key[code]]


def _owned(owners: Array, rows: Array) -> tuple[Array, Array]:
    """Return where each row's part begins and ends in a table sorted by owner, as offsets, and the table's rows."""
    first, last = np.searchsorted(owners, rows, "left"), np.searchsorted(owners, rows, "right")
    offsets = np.concatenate(([0], np.cumsum(last - first)))
    held = np.repeat(first - offsets[:-1], last - first) + np.arange(offsets[-1])
    return offsets.astype(np.uint32), held.astype(np.int64)


def _events(traces: TraceSet, rows: Array, base_ns: int, strings: Strings) -> dict[str, Array]:
    """Return the events of some spans with their attributes."""
    columns = traces.columns
    offsets, held = _owned(columns.events.span_row, rows)
    time = columns.events.time_ns[held]
    return {
        "evOff": offsets,
        "evAt": np.where(time == 0, NO_TIME, (time - base_ns).astype(np.float64)),
        "evName": strings.add_codes(columns.events.name[held], columns.texts),
        **_pairs(traces, "evAttr", columns.event_attributes, held, strings),
    }


def _links(traces: TraceSet, rows: Array, strings: Strings) -> dict[str, Array]:
    """Return the links of some spans in words."""
    links = traces.columns.links
    offsets, held = _owned(links.span_row, rows)
    words = [
        f"trace {links.trace_hi[k]:016x}{links.trace_lo[k]:016x} span {links.span_id[k]:016x}"
        + ("" if links.relation[k] == 0 else f" ({RELATIONS[links.relation[k]]})")
        for k in held
    ]
    return {"lnOff": offsets, "lnText": strings.add(words)}
