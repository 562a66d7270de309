"""Arrow arrays of texts, made of their bytes: for a list pyarrow first asks pandas, which it imports, what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa


def arrow_texts(texts: Sequence[str | None]) -> pa.LargeStringArray:
    """Return texts as an Arrow array of type ``large_string``, None as null.

    Examples
    --------
    >>> arrow_texts(["shop", None, ""]).to_pylist()
    ['shop', None, '']
    """
    import pyarrow as pa  # noqa: PLC0415 - slow to import, and not needed for the package itself

    known = np.array([text is not None for text in texts], bool)
    encoded = [text.encode() if text else b"" for text in texts]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    validity = None if known.all() else pa.py_buffer(np.packbits(known, bitorder="little"))
    return pa.LargeStringArray.from_buffers(len(encoded), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)), validity)
