"""Texts that differ in digits alone: what does not look at which digits they are is searched for once in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow.compute as pc

from tracekit.redaction.matches import strings_at
from tracekit.redaction.scan import blob_of

if TYPE_CHECKING:
    import pyarrow as pa

    from tracekit.columns import Array

_ZEROS: Final = np.arange(256, dtype=np.uint8)
_ZEROS[ord("0") : ord("9") + 1] = ord("0")


class Shapes(NamedTuple):
    """Texts by their shape: the text with 0 in the place of every ASCII digit, so that all places are the same.

    Parameters
    ----------
    texts
        Each shape once.
    code
        Row of each text in them; a null has the shape of an empty text.
    """

    texts: pa.LargeStringArray
    code: Array


def shapes_of(texts: pa.LargeStringArray) -> Shapes:
    """Return the shapes of texts; ``%40`` stays as it is, which is an encoded ``@``.

    Examples
    --------
    >>> import pyarrow as pa
    >>> found = shapes_of(pa.array(["a?id=17", "a?id=94", "a%40b"], pa.large_string()))
    >>> found.texts.to_pylist(), found.code.tolist()
    (['a?id=00', 'a%40b'], [0, 0, 1])
    """
    whole = blob_of(texts)
    data = _ZEROS[whole.data]
    percent = np.flatnonzero(whole.data[:-2] == ord("%"))
    at = percent[(whole.data[percent + 1] == ord("4")) & (whole.data[percent + 2] == ord("0"))]
    data[at + 1] = ord("4")
    encoded = pc.dictionary_encode(strings_at(whole.offsets, data))
    return Shapes(encoded.dictionary, encoded.indices.to_numpy().astype(np.int64))
