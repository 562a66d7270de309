"""Tables of a part whose columns are read when they are first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tracekit.columns import EventColumns, KeyValues, LinkColumns, SpanColumns
from tracekit.loading.text_hashes import sip_hashes
from tracekit.on_demand import first_use, on_demand

if TYPE_CHECKING:
    from tracekit.columns import Array


class StoredSpans(SpanColumns):
    """Spans of a part."""

    __slots__ = ("read",)
    __getattr__ = first_use


class StoredEvents(EventColumns):
    """Events of a part."""

    __slots__ = ("read",)
    __getattr__ = first_use


class StoredLinks(LinkColumns):
    """Links of a part."""

    __slots__ = ("read",)
    __getattr__ = first_use


class StoredKeyValues(KeyValues):
    """Distinct attributes of a part; ``read_some`` reads a column of some of them."""

    __slots__ = ("read", "read_some")
    __getattr__ = first_use

    def has_read(self, name: str) -> bool:
        """Return whether a column was used before."""
        try:
            object.__getattribute__(self, name)
        except AttributeError:
            return False
        return True

    def take(self, codes: Array) -> KeyValues:
        """Return the table of some attributes, of which columns are read on first use, too."""
        some = getattr(self, "read_some", None)  # not of a copy with other texts
        return (
            KeyValues.take(self, codes)
            if some is None
            else on_demand(StoredKeyValues, lambda name: some(self, codes, name))
        )

    def texts_at(self, codes: Array) -> list[str | None]:
        """Return the texts of some attributes, None where a value is not text."""
        found: list[str | None] = self.take(codes).text.to_pylist()
        return found

    def hashes_at(self, codes: Array, before: str = "") -> Array:
        """Return the hashes of the texts of some attributes, each behind a text; a value that is not text is empty."""
        if not before and 2 * len(codes) > len(self):
            return np.asarray(self.hashes()[codes])
        texts = self.take(codes).text
        if before:
            mark, nothing = (pa.scalar(text, pa.large_string()) for text in (before, ""))
            texts = pc.binary_join_element_wise(mark, pc.fill_null(texts, ""), nothing)
        return sip_hashes(texts)

    def hashes(self) -> Array:
        """Return ``hashes_at`` of all attributes, whose texts are not copied for it."""
        return sip_hashes(self.text)
