"""Checksums of the inputs of a report beside its traces: by content, the same however it was read."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tracekit.loading.inputs import facts_file
from tracekit.report.embedded_inputs import facts_of

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.report.inputs import Inputs

_FACTS: Final = ("rules", "deployments", "slo", "prices")


def input_sums(inputs: Inputs) -> dict[str, str]:
    """Return the checksum of each input by name; none of what no file can hold."""
    found: dict[str, str] = {}
    if inputs.logs is not None:
        found["logs"] = _sum([inputs.logs.frame])
    if inputs.requests is not None:
        found["requests"] = _sum([inputs.requests.frame, inputs.requests.by_balancer], *inputs.requests.notes)
    facts = facts_of(inputs)
    for name in _FACTS:
        if (value := getattr(facts, name)) is not None:
            found[name] = _sum([], facts_file(type(facts)(**{name: value})).decode())
    return found


def _sum(frames: list[pd.DataFrame], *texts: str) -> str:
    """Return a digest of tables and texts."""
    state = blake2b(digest_size=16)
    for frame in frames:
        for name in frame.columns:
            column = frame[name]
            if not pd.api.types.is_numeric_dtype(column.dtype):
                _add(state, column.astype(object).tolist())
            else:
                state.update(_little_endian(column.to_numpy()).tobytes())
            _add(state, [str(name)])
    _add(state, list(texts))
    return state.hexdigest()


def _little_endian(values: Array) -> Array:
    """Return numbers with the same bytes on every machine."""
    return values.astype(values.dtype.newbyteorder("<"))


def _add(state: Any, texts: list[str | None]) -> None:
    """Add texts to a digest, with their lengths; a missing one has length -1."""
    plain = [text if isinstance(text, str) else None for text in texts]
    sizes = np.array([-1 if text is None else len(text) for text in plain], "<i8")
    state.update(sizes.tobytes())
    state.update("".join(text for text in plain if text is not None).encode("utf-8", "replace"))
