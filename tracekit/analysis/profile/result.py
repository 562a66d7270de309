"""The result of ``profile``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tracekit.analysis.profile import flame as profile_flame
from tracekit.analysis.profile.functions import NO_SAMPLES
from tracekit.analysis.profile.split import by_function, table_of
from tracekit.findings import Shown
from tracekit.on_demand import pd
from tracekit.readable_tables import as_html
from tracekit.text import plural, ratio
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    from tracekit.analysis.critical_path.flame import Flame
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.analysis.critical_path.stored import StoredPaths
    from tracekit.analysis.critical_path.tables import PathTable
    from tracekit.profile_samples import ProfileSamples


@dataclass(frozen=True, repr=False, eq=False)
class Profile(Weighted, Shown):
    """Critical-path time by function.

    Parameters
    ----------
    paths
        The critical paths, of a TraceSet or of a store.
    samples
        The samples.
    matched
        Those that were matched with one span, also as a local root.
    table
        Critical-path time by service, operation, function and request.
    functions
        One row per function (the innermost of a stack), the largest first; ``(no samples)`` is the time of spans
        without samples: ``function``, ``path_time_ns`` (sums to the latency of all requests), ``share_ratio``,
        ``mean_ns`` per request with its 95% CI ``mean_low_ns`` and ``mean_high_ns`` (weighted, by trace; NaN if not
        estimable), ``trace_count``.
    endpoints
        Samples that name only a local root span, by ``service_name`` and ``operation`` of that span and ``function``:
        ``sample_count``, ``sample_weight``. They are not part of the times.
    matching
        What the samples were matched with: ``samples``, ``sample_count``, ``sample_weight``.

    Examples
    --------
    >>> tk.profile(shop, b"span_id=a1c0de0000000001;main;render 3")
    Profile(5 requests, 1 function, 1.3% of the critical path sampled; sampling weights unknown)
    """

    paths: CriticalPath | StoredPaths
    samples: ProfileSamples
    matched: ProfileSamples
    table: PathTable
    functions: pd.DataFrame
    endpoints: pd.DataFrame
    matching: pd.DataFrame

    @property
    def statement(self) -> str:  # type: ignore[override]  # computed
        """What the weighted figures describe: the source of the weights, or that they are unknown."""
        return self.paths.statement

    @property
    def sampled_ns(self) -> int:
        """Critical-path time of spans with samples, in ns."""
        is_sampled = self.table.cells.keys.columns["function"] != NO_SAMPLES
        return int(self.table.cells.time_ns[is_sampled[self.table.cells.group]].sum())

    @cached_property
    def operations(self) -> pd.DataFrame:
        """The columns of ``functions`` by ``service_name``, ``operation`` and ``function``."""
        return table_of(self.table)

    @property
    def requests(self) -> pd.DataFrame:
        """One row per request and function: ``request``, ``trace_id``, ``function``, ``path_time_ns``.

        The times of a request sum to its latency.
        """
        requests, cells = self.table.requests, by_function(self.table).cells
        order = np.lexsort((cells.group, cells.request))
        request, group = cells.request[order], cells.group[order]
        return pd.DataFrame(
            {
                "request": request,
                "trace_id": requests.ids(request),
                "function": cells.keys.columns["function"][group],
                "path_time_ns": cells.time_ns[order],
            }
        )

    def flame(self) -> Flame:
        """Return the aggregated flame graph of the critical path, with the functions below their spans.

        A store is read once more for it.
        """
        return profile_flame.flame(self)

    def _line(self) -> str:
        """Return the counts in one line."""
        total = int(self.table.cells.time_ns.sum())
        share = ratio(self.sampled_ns / total if total else float("nan"))
        count = plural(int((self.functions["function"] != NO_SAMPLES).sum()), "function")
        return f"Profile({plural(len(self.table.requests), 'request')}, {count}, {share} of the critical path sampled)"

    def _repr_html_(self) -> str:
        return f"{self.heading()}{as_html(self.functions.head(10))}{as_html(self.matching)}"


@dataclass(frozen=True, repr=False, eq=False)
class ProfileComparison(Weighted, Shown):
    """The change in critical-path time by function, from a baseline.

    Parameters
    ----------
    table
        One row per function, the largest change first: ``function``, ``baseline_mean_ns``, ``current_mean_ns`` (per
        request), ``change_ns`` (they sum to the change of the mean latency) with its 95% CI ``change_low_ns`` and
        ``change_high_ns``, ``q_value``, ``is_significant`` (false discovery rate 5%). If the time of
        ``(no samples)`` changed significantly, changes in the other direction are not significant: more or fewer spans
        with samples would look the same.
    baseline, current
        The profiles of both sides.
    statement
        What is compared, or why the sides are not comparable.

    Examples
    --------
    >>> both = (b"span_id=a1c0de0000000001;main;render 3", b"span_id=a1c0de0000000001;main;render 3")
    >>> tk.profile(shop, both[0], baseline=(shop, both[1]))
    ProfileComparison(1 function, 0 significant; sampling weights unknown)
    """

    table: pd.DataFrame
    baseline: Profile
    current: Profile
    statement: str = ""

    def flame(self) -> Flame:
        """Return the flame graph of the current side; ``tk.plot`` colours it by the change."""
        return self.current.flame()

    def _line(self) -> str:
        """Return the counts in one line."""
        count = plural(int((self.table["function"] != NO_SAMPLES).sum()), "function")
        return f"ProfileComparison({count}, {int(self.table['is_significant'].sum()):,} significant)"

    def _repr_html_(self) -> str:
        return f"{self.heading()}{as_html(self.table.head(10))}"
