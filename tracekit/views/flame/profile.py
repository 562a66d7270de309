"""The flame graph of a critical path with functions below the spans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracekit.views.flame.widget import plot_flame
from tracekit.weights.comparability import SIDES

if TYPE_CHECKING:
    from tracekit.analysis.profile.result import Profile, ProfileComparison
    from tracekit.views.flame.widget import FlameWidget


def plot_profile(result: Profile, *, search: str = "", height: int = 480) -> FlameWidget:
    """Draw the critical path as an icicle: callers above callees, and the functions of a span below it.

    Parameters
    ----------
    result
        Result of ``profile(traces, source)``.
    search, height
        As for ``plot_flame``.

    Returns
    -------
    FlameWidget
        See ``plot_flame``.

    Examples
    --------
    >>> tk.plot(tk.profile(shop, b"span_id=a1c0de0000000001;main;render 3"))
    Flame(10 call paths, 152 ms per request)
    """
    return plot_flame(result.flame(), search=search, height=height)


def plot_profile_comparison(
    result: ProfileComparison, *, names: tuple[str, str] = SIDES, search: str = "", height: int = 480
) -> FlameWidget:
    """Draw both sides as one icicle: functions and calls that became slower are red, faster ones blue.

    Parameters
    ----------
    result
        Result of ``profile(traces, source, baseline=(traces, source))``.
    names, search, height
        As for ``plot_flame``.

    Returns
    -------
    FlameWidget
        See ``plot_flame``.

    Examples
    --------
    >>> stacks = b"span_id=a1c0de0000000001;main;render 3"
    >>> tk.plot(tk.profile(shop, stacks, baseline=(baseline, stacks)))
    Flame(10 call paths, 152 ms per request)
    """
    against = result.baseline.flame()
    return plot_flame(result.current.flame(), against=against, names=names, search=search, height=height)
