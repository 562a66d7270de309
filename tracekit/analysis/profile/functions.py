"""The function that ran in each sample: the innermost of its stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.profile_samples import ProfileSamples

NO_SAMPLES: Final = "(no samples)"
FUNCTION: Final = " (function)"
"""Ends the name of a function that would otherwise be taken for something else: a call, or no samples."""


def leaf_codes(samples: ProfileSamples) -> tuple[Array, list[str]]:
    """Return the innermost function of every stack, then of none, as codes, and the names."""
    leaves = [f"{NO_SAMPLES}{FUNCTION}" if stack[-1] == NO_SAMPLES else stack[-1] for stack in samples.stacks]
    names = [NO_SAMPLES, *sorted(set(leaves))]
    number = {name: at for at, name in enumerate(names)}
    return np.array([*(number[leaf] for leaf in leaves), 0], np.int64), names
