"""Hashes of the texts of a column, the same in every recording: by the extension where it was built."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.attributes import Codes, text_hashes
from tracekit.loading.native import compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pyarrow as pa

    from tracekit.columns import Array

_SIZE = 8  # bytes of a hash


def blake2b_hashes(texts: pa.LargeStringArray) -> Array:
    """Return a 64-bit hash of each text that is difficult to guess (BLAKE2b), and 0 for a null.

    Examples
    --------
    >>> import pyarrow as pa
    >>> blake2b_hashes(pa.array(["cart", None], pa.large_string())).tolist()
    [10874005385687269570, 0]
    """
    extension = compiled()
    if extension is None:
        return blake2b_of(texts.to_pylist())
    found = _written(extension.blake2b_hashes, texts)
    if texts.null_count:
        found[texts.is_null().to_numpy(zero_copy_only=False)] = 0
    return found


def blake2b_of(texts: Iterable[str | None]) -> Array:
    """Return the same of a list of texts."""
    none = bytes(_SIZE)
    found = [
        none if text is None else blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_SIZE).digest()
        for text in texts
    ]
    return np.frombuffer(b"".join(found), "<u8").astype(np.uint64)


def sip_hashes(texts: pa.LargeStringArray) -> Array:
    """Return the hash of each text that ``attributes.text_hashes`` returns (SipHash); a null is an empty text.

    Examples
    --------
    >>> import pyarrow as pa
    >>> found = sip_hashes(pa.array(["cart", None], pa.large_string()))
    >>> bool((found == text_hashes(Codes(np.arange(2), ["cart", ""]))).all())
    True
    """
    extension = compiled()
    if extension is None:
        return text_hashes(Codes(np.arange(len(texts)), [text or "" for text in texts.to_pylist()]))
    return np.asarray(pd.util.hash_array(_written(extension.sip_hashes, texts)))


def _written(hashes: Callable[..., None], texts: pa.LargeStringArray) -> Array:
    """Return what a function of the extension writes for the bytes of texts."""
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    made = np.empty(len(texts), np.uint64)
    hashes(ends, data or b"", made)
    return made
