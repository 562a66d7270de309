"""Samples of a profiler with the ids of the spans that ran: what the readers of profiles make and ``profile`` takes."""

from __future__ import annotations

import html
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.readable_tables import as_html

if TYPE_CHECKING:
    from tracekit.schema import Array

_MOST_WEIGHT = 2**62


@dataclass(frozen=True, repr=False, eq=False)
class ProfileSamples:
    """Samples of one or more profiles.

    Parameters
    ----------
    span_id, root_id, trace_hi, trace_lo
        uint64, one per sample: the span that ran, the local root span of its process, and the two halves of the trace
        id; 0 where the profiler did not write it. Datadog writes only the lower half of trace ids.
    weight
        int64, one per sample, above 0: its value, in the unit of ``value_unit``.
    stack
        int64, one per sample: its row of ``stacks``.
    stacks
        Distinct stacks: names of functions from the entry point down.
    value_type, value_unit
        What was sampled: ``wall`` or ``cpu`` in ``nanoseconds``, ``samples`` in ``count``, ...
    issues
        One row per record that could not be read fully: ``source``, ``record`` (a line or a sample, from 1; 0 for the
        whole source), ``message``, ``issue_count``.
    format
        ``pprof``, ``otlp``, ``collapsed``.

    Examples
    --------
    >>> tk.read_profile(b"span_id=b2;main;work 3")
    ProfileSamples(1 sample from collapsed, value: samples in count, 0 with a span id, 1 issue)
    """

    span_id: Array
    root_id: Array
    trace_hi: Array
    trace_lo: Array
    weight: Array
    stack: Array
    stacks: tuple[tuple[str, ...], ...]
    value_type: str
    value_unit: str
    issues: pd.DataFrame
    format: str

    def __post_init__(self) -> None:
        if len(self.weight) and (self.weight.min() <= 0 or self.weight.sum(dtype=np.float64) > _MOST_WEIGHT):
            found = f"{self.weight.min():,} and a sum of {self.weight.sum(dtype=np.float64):.3g}"
            raise ValueError(f"expected weights above 0 with a sum below 2**62, found a smallest of {found}")

    def __len__(self) -> int:
        return len(self.weight)

    def take(self, rows: Array) -> ProfileSamples:
        r"""Return some of the samples.

        Examples
        --------
        >>> len(tk.read_profile(b"span_id=b2;main;work 3\nspan_id=b3;main;work 1").take(np.array([1])))
        1
        """
        each = ("span_id", "root_id", "trace_hi", "trace_lo", "weight", "stack")
        return replace(self, **{name: getattr(self, name)[rows] for name in each})

    @property
    def frame(self) -> pd.DataFrame:
        """One row per sample.

        ``trace_id``, ``span_id`` and ``root_span_id`` (hex, empty if unknown), ``function`` (the innermost), ``stack``,
        ``weight``.
        """
        trace = [f"{hi:016x}{lo:016x}" if hi or lo else "" for hi, lo in zip(self.trace_hi, self.trace_lo, strict=True)]
        leaves = np.array([stack[-1] if stack else "" for stack in self.stacks], object)
        joined = np.array([";".join(stack) for stack in self.stacks], object)
        return pd.DataFrame(
            {
                "trace_id": trace,
                "span_id": [f"{one:016x}" if one else "" for one in self.span_id.tolist()],
                "root_span_id": [f"{one:016x}" if one else "" for one in self.root_id.tolist()],
                "function": leaves[self.stack] if len(leaves) else [],
                "stack": joined[self.stack] if len(joined) else [],
                "weight": self.weight,
            }
        )

    def __repr__(self) -> str:
        known = int(np.count_nonzero(self.span_id))
        count = int(self.issues["issue_count"].sum())
        issues = f", {count:,} issue{'s' * (count != 1)}" * bool(count)
        what = f"value: {self.value_type} in {self.value_unit}"
        samples = f"{len(self):,} sample{'s' * (len(self) != 1)} from {self.format}"
        return f"ProfileSamples({samples}, {what}, {known:,} with a span id{issues})"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{as_html(self.issues.head(10))}"
