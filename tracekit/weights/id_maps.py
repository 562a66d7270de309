"""Maps from trace ids to 0..1, one per sampler family: a sampler keeps the ids with a value below its rate.

The families use different bits, so ids sampled by one of them have an edge under its map and none under the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.columns import Array

_LOW56, _LOW32 = np.uint64((1 << 56) - 1), np.uint64((1 << 32) - 1)
_DAY_S = 86_400
TAIL_SALT = b"default-hash-seed"


def _fnv1a_64(high: Array, low: Array, salt: bytes) -> Array:
    """Return FNV-1a of a salt and sixteen bytes, 64 bits."""
    start, prime = 0xCBF29CE484222325, 0x100000001B3
    for byte in salt:
        start = ((start ^ byte) * prime) & 0xFFFFFFFFFFFFFFFF
    value = np.full(len(high), start, np.uint64)
    for byte_column in _bytes(high, low):
        value = (value ^ byte_column) * np.uint64(prime)
    return value


def _fnv1a_32(high: Array, low: Array, seed: int) -> Array:
    """Return FNV-1a of a little-endian seed and sixteen bytes, 32 bits."""
    start, prime = 0x811C9DC5, 0x01000193
    for byte in seed.to_bytes(4, "little"):
        start = ((start ^ byte) * prime) & 0xFFFFFFFF
    value = np.full(len(high), start, np.uint32)
    for byte_column in _bytes(high, low):
        value = (value ^ byte_column.astype(np.uint32)) * np.uint32(prime)
    return value


def _bytes(high: Array, low: Array) -> list[Array]:
    """Return the sixteen bytes of every id, the first byte first."""
    shifts = [np.uint64(8 * k) for k in range(7, -1, -1)]
    return [(half >> shift) & np.uint64(0xFF) for half in (high, low) for shift in shifts]


def _magnitude(half: Array) -> Array:
    """Return the absolute value of a signed 64-bit half, as a fraction of 2^63."""
    return np.abs(half.view(np.int64).astype(np.float64)) / 2.0**63


def _words(high: Array, low: Array) -> Array:
    """Return the exclusive or of the four 32-bit words, as a fraction of 2^32."""
    four = (high >> np.uint64(32)) ^ (high & _LOW32) ^ (low >> np.uint64(32)) ^ (low & _LOW32)
    return np.asarray(four.astype(np.float64) / 2.0**32)


def tail_sampling_share(high: Array, low: Array, salt: bytes = TAIL_SALT) -> Array:
    """Return the map of the collector's ``tail_sampling`` policy ``probabilistic``.

    FNV-1a 64 of salt and id, from the collector's ``probabilistic.go``.
    """
    return np.asarray(_fnv1a_64(high, low, salt).astype(np.float64) / 2.0**64)


ID_MAPS: dict[str, Callable[[Array, Array], Array]] = {
    "OpenTelemetry consistent sampling": lambda _, low: 1 - (low & _LOW56).astype(np.float64) / 2.0**56,
    "Python TraceIdRatio": lambda _, low: low.astype(np.float64) / 2.0**64,
    "Java TraceIdRatio": lambda _, low: _magnitude(low),
    ".NET TraceIdRatio": lambda high, _: _magnitude(high),
    "Go TraceIdRatio": lambda _, low: (low >> np.uint64(1)).astype(np.float64) / 2.0**63,
    "older Go TraceIdRatio": lambda high, _: (high >> np.uint64(1)).astype(np.float64) / 2.0**63,
    "JavaScript TraceIdRatio": _words,
    "collector tail_sampling": tail_sampling_share,
    "collector hash_seed": lambda high, low: (
        ((_fnv1a_32(high, low, 0) & np.uint32(0x3FFF)).astype(np.float64) + 1) / 2.0**14
    ),
}
"""Fraction of the id space below each id, by sampler family, as in the samplers' source code."""

FIRST_BYTES = frozenset({".NET TraceIdRatio", "older Go TraceIdRatio"})
"""Families that use the first eight bytes: X-Ray ids begin with the time, so these keep or drop whole seconds."""

SEEN_BITS = {
    "OpenTelemetry consistent sampling": "last 56 bits",
    "Python TraceIdRatio": "last 64 bits",
    "Java TraceIdRatio": "last 64 bits",
    ".NET TraceIdRatio": "first 64 bits",
    "Go TraceIdRatio": "last 64 bits",
    "older Go TraceIdRatio": "first 64 bits",
    "JavaScript TraceIdRatio": "four words",
    "collector tail_sampling": "hash of 64 bits",
    "collector hash_seed": "hash of 32 bits",
}
"""Part of the id that a family uses. Families with the same part show the same sampler; others are independent."""

_AS_THEY_ARE = {"first 64 bits", "last 64 bits", "four words"}
PLAIN_BITS = frozenset(name for name, bits in SEEN_BITS.items() if bits in _AS_THEY_ARE)
"""Families for which leading zero bits of an id, common in many formats, cause an edge at a power of two."""

LANGUAGE_MAPS: dict[str, tuple[str, ...]] = {
    "python": ("Python TraceIdRatio",),
    "java": ("Java TraceIdRatio",),
    "dotnet": (".NET TraceIdRatio",),
    "go": ("Go TraceIdRatio", "older Go TraceIdRatio"),
    "nodejs": ("JavaScript TraceIdRatio",),
    "webjs": ("JavaScript TraceIdRatio",),
}
"""Maps by ``telemetry.sdk.language``."""


def begins_with_time(high: Array, start_ns: Array) -> bool:
    """Return whether trace ids begin with the epoch second, as X-Ray's do."""
    if not len(high):
        return False
    away = np.abs((high >> np.uint64(32)).astype(np.int64) - start_ns // 1_000_000_000)
    return bool((away < _DAY_S).mean() > 0.9)  # noqa: PLR2004 - the docstring says so
