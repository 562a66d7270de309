"""Explore: select traces with controls, and get the selection as code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracekit.arguments import check_traces
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from tracekit.parts import Parts
    from tracekit.views.explore_widget import Explorer

_SPANS: Final = 200_000  # of a store; a frame searches as many


def explore(traces: TraceSet | Parts, *, height: int = 420) -> Explorer:
    """Select traces by service, operation, duration, error, attribute and time, and open one with a click.

    Parameters
    ----------
    traces
        Any traces.  Of a store, as many parts at random as have about 200,000 spans, and at least one, are loaded; the
        view says so.  ``code`` selects from the whole store.
    height
        Height of the waterfall in pixels.

    Returns
    -------
    ipywidgets.VBox
        ``chosen`` (traitlet) is the TraceSet of the selected traces, ``code`` (traitlet) selects the same from
        ``traces``; both can be observed.  The controls are attributes (``service``, ``operation``, ``error``,
        ``latency``, ``period``, ``attribute`` and ``attribute_value``, ``table``) with a settable ``value``.  They are
        displayed in a frame that needs no kernel, shows the code of its own selection and copies it; after ``live()``
        they are displayed as widgets, which ``chosen`` and ``code`` follow.

    Raises
    ------
    ValueError
        If the height is not positive.

    Notes
    -----
    A trace is selected, with all its spans, if one of its spans matches service, operation, duration, error and
    attribute, and its root starts within the period.  ``attribute`` lists the keys of spans and resources with at most
    50 values that a condition of ``where`` can contain; a span without the attribute has that of its resource.

    Examples
    --------
    >>> seen = tk.explore(shop)
    >>> seen.service.value = "ledger"
    >>> seen
    Explorer(4 of 5 traces)
    >>> print(seen.code)
    chosen = traces.where("service_name == 'ledger'")
    >>> seen.attribute.value, seen.attribute_value.value = "db.system.name", "postgresql"
    >>> print(seen.code)
    chosen = traces.where("service_name == 'ledger' and db.system.name == 'postgresql'")
    """
    check_traces(traces, "explore")
    if height <= 0:
        raise ValueError(f"expected a height in pixels above 0, found {height}")
    from tracekit.views.explore_widget import Explorer  # noqa: PLC0415 - ipywidgets is for notebooks only

    shown = traces if isinstance(traces, TraceSet) else traces.sample(spans=_SPANS).load()
    return Explorer(shown, height=height)
