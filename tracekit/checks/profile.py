"""Below the span: the critical path by function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.critical_path.result import CriticalPath
from tracekit.analysis.critical_path.stored import StoredPaths
from tracekit.analysis.partials import check_on, on_side
from tracekit.analysis.profile.compare import compared
from tracekit.analysis.profile.compute import profile_of
from tracekit.arguments import check_traces
from tracekit.loading.profiles.read import read_profile
from tracekit.profile_samples import ProfileSamples

if TYPE_CHECKING:
    from tracekit.analysis.profile.result import Profile, ProfileComparison
    from tracekit.parts import On, Parts
    from tracekit.traces import TraceSet

    Side = TraceSet | Parts | CriticalPath | StoredPaths


@overload
def profile(traces: Side, source: Any, *, baseline: None = None, on: On = None) -> Profile: ...


@overload
def profile(traces: Side, source: Any, *, baseline: tuple[Side, Any], on: On = None) -> ProfileComparison: ...


def profile(
    traces: Side,
    source: Any,
    *,
    baseline: tuple[Side, Any] | None = None,
    on: On = None,
) -> Profile | ProfileComparison:
    r"""Return the critical path by function: what the code did in the time that requests waited for it.

    Parameters
    ----------
    traces
        The traces, or their critical path with other options; not modified.  A store is read part by part, twice and
        for clock skew.
    source
        The profiles: a result of ``read_profile``, or any source of it, such as a path.
    baseline
        Traces and profiles of a baseline to compare with.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

    Returns
    -------
    Profile or ProfileComparison
        ``.functions``, ``.operations``, ``.requests``, ``.endpoints``, ``.matching``, ``.flame()``; with a baseline,
        ``.table``.

    Raises
    ------
    LoadError
        The source is not a profile.
    ValueError
        There are no requests to compare, the samples of both sides measure different things, or ``on`` without a
        store.

    Notes
    -----
    The self time of a span on the critical path is divided among the stacks of its samples in proportion to their
    values, in whole nanoseconds (largest remainder): the times of all functions and of ``(no samples)``, the spans
    without samples, sum to the latency. Samples are those of the whole span, also while it waited for a child. CPU
    samples do not see waiting: the self time of a span that waits is then given to the functions that computed.

    A sample belongs to the span with its span id, in the trace with its trace id if it has one. Samples that name only
    a local root span are counted in ``.endpoints``. Pyroscope's integrations for OpenTelemetry write the local root as
    the span id; their samples count as those of that span. All samples are in ``.matching``.

    Intervals take traces as independent observations; that includes the sampling error of the profiler, as far as its
    samples of different traces are independent. They do not cover time of spans without samples.

    Examples
    --------
    >>> stacks = b"span_id=a1c0de0000000001;main;render 3\nspan_id=a1c0de0000000001;main;parse 1"
    >>> found = tk.profile(shop, stacks)
    >>> found.functions[["function", "path_time_ns"]].to_numpy().tolist()
    [['(no samples)', 750000000], ['render', 7500000], ['parse', 2500000]]
    >>> int(found.functions["path_time_ns"].sum()) == int(shop.summary["duration_ns"].sum())
    True
    """
    if baseline is None:
        check_on(on, _source(traces))
        return profile_of(_path(traces, on), _samples(source))
    if not isinstance(baseline, tuple) or len(baseline) != 2:  # noqa: PLR2004 - traces and samples
        raise TypeError(f"expected baseline=(traces, profiles), found {type(baseline).__name__}")
    check_on(on, _source(traces), _source(baseline[0]))
    before, now = (_path(side, on) for side in (baseline[0], traces))
    return compared(profile_of(before, _samples(baseline[1])), profile_of(now, _samples(source)))


def _path(traces: Side, on: On) -> CriticalPath | StoredPaths:
    """Return the critical path of traces."""
    if isinstance(traces, CriticalPath | StoredPaths):
        return traces
    check_traces(traces, "profile")
    return critical_path(traces, on=on_side(traces, on))


def _source(side: Side) -> TraceSet | Parts:
    """Return the traces of a side."""
    return side.source if isinstance(side, CriticalPath | StoredPaths) else side


def _samples(source: Any) -> ProfileSamples:
    """Return the samples of a source."""
    return source if isinstance(source, ProfileSamples) else read_profile(source)
