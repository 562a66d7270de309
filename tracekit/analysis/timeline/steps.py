"""Steps of time: round lengths, and the step of each start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from tracekit.columns import Array

MOST: Final = 1_000_000  # rows, as in the messages
_BINS: Final = 60
_SECOND: Final = 1_000_000_000
_EARLIEST: Final = int(np.iinfo(np.int64).min)
_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)  # s


def period_of(start: Array) -> tuple[int, int] | None:
    """Return the first and the last of some starts, None without any."""
    return (int(start.min()), int(start.max())) if len(start) else None


def step_of(period: tuple[int, int] | None, step_s: float | None) -> int:
    """Return the length of a step in ns, for requests that start in a period."""
    duration = period[1] - period[0] if period else 0  # may exceed int64
    step_s = _round_step(duration / (_BINS - 1) / _SECOND) if step_s is None else step_s
    if not step_s > 0:
        raise ValueError(f"expected step_s above 0, found {step_s!r}")
    step = max(1, round(step_s * _SECOND))
    if duration // step >= MOST:
        raise ValueError(
            f"expected step_s that divides {duration / _SECOND:g} s into at most a million steps, found {step_s!r}"
        )
    return step


def _round_step(wanted: float) -> float:
    """Return the next round number of seconds; one second if all requests began at once."""
    if wanted == 0:
        return 1
    power = 10.0 ** np.floor(np.log10(wanted))
    rounds = [power * k for k in (1, 2, 5, 10)] if wanted < 1 else _STEPS
    return float(next((step for step in rounds if step >= wanted), -(-wanted // _STEPS[-1]) * _STEPS[-1]))


def steps_of(period: tuple[int, int] | None, step: int) -> tuple[int, int]:
    """Return the start of the first step in ns, and the number of steps."""
    if period is None:
        return 0, 0
    first = max(period[0] // step * step, _EARLIEST)
    return first, (period[1] - first) // step + 1


def places_of(start: Array, first: int, step: int) -> Array:
    """Return the number of the step of each start; differences may exceed int64."""
    return np.asarray((start - np.int64(first)).astype(np.uint64) // np.uint64(step)).astype(np.int64)
