"""The controls of ``explore``.  Imported on first use."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, Final, Self

import ipywidgets
import traitlets

from tracekit.text import clean, count, plural
from tracekit.views import choices
from tracekit.views.choices import volume_of
from tracekit.views.explore_frame import (
    attribute_control,
    error_control,
    explore_data,
    latency_controls,
    name_control,
    period_controls,
)
from tracekit.views.frame import folded, framed
from tracekit.views.markup import Markup, content, element, table
from tracekit.views.waterfall import waterfall

if TYPE_CHECKING:
    from tracekit.traces import TraceSet

_CONTROLS: Final = 360  # pixels of the controls, the list and the code in a frame
_READOUT = "0 32px 0 0"  # range labels are wider than ipywidgets allows for
_WIDE = {"width": "auto"}  # 100% plus the margins of the controls would overflow


class Explorer(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """Controls, a list of the selected traces, a waterfall of one of them, and the code of the selection.

    ``chosen`` (the selected traces) and ``code`` are traitlets: ``observe`` calls a function when they change.

    Parameters
    ----------
    traces
        Traces to select from.
    height
        Height of the waterfall in pixels.

    Examples
    --------
    >>> Explorer(shop).chosen
    TraceSet(5 traces, 28 spans, 3 services, 2026-01-01 12:00:00 to 12:00:04 UTC)
    """

    chosen = traitlets.Any()
    code = traitlets.Unicode("")
    _is_live = False

    def __init__(self, traces: TraceSet, *, height: int = 420) -> None:
        self.traces = traces
        self._height = height
        label = {"style": {"description_width": "76px"}, "layout": _WIDE}
        self.service = ipywidgets.Dropdown(
            options=choices.names_of(traces, "service_name"), description="service", **label
        )
        self.operation = ipywidgets.Dropdown(
            options=choices.names_of(traces, "operation"), description="operation", **label
        )
        self.error = ipywidgets.Dropdown(options=choices.error_choices(), description="error", **label)
        self.attribute = ipywidgets.Dropdown(options=choices.key_choices(traces), description="attribute", **label)
        self.attribute_value = ipywidgets.Dropdown(options=[("any", choices.ANY)], description="value", **label)
        self.latency = _range(choices.latency_choices(traces), "duration", label)
        self.period = _range(choices.period_choices(traces), "start, UTC", label)
        self.table = ipywidgets.Select(options=[], rows=10, layout=_WIDE)
        self._summary, self._picture, self._shown = (ipywidgets.HTML(layout=_WIDE) for _ in range(3))
        self._opened = ipywidgets.VBox(layout=_WIDE)
        left = ipywidgets.VBox(
            [self.service, self.operation, self.error], layout={"width": "46%", "min_width": "280px"}
        )
        right = ipywidgets.VBox(
            [self.latency, self.period, self.attribute, self.attribute_value],
            layout={"flex": "1", "min_width": "280px", "margin": "0 0 0 16px", "padding": _READOUT},
        )
        controls = ipywidgets.HBox([left, right], layout={"flex_flow": "row wrap", "width": "100%"})
        super().__init__([controls, self._summary, self._picture, self.table, self._shown, self._opened], chosen=traces)
        self.service.observe(self._narrow, "value")
        self.attribute.observe(self._list_values, "value")
        for control in (self.operation, self.error, self.attribute_value, self.latency, self.period):
            control.observe(self._choose, "value")
        self.table.observe(self._open, "value")
        self._choose()

    def _narrow(self, _: Any) -> None:
        """List the operations of the selected service; keep the selected one if it is among them."""
        self._offer(self.operation, choices.names_of(self.traces, "operation", service=self.service.value))

    def _list_values(self, _: Any) -> None:
        """List the values of the selected attribute."""
        key = self.attribute.value
        self._offer(self.attribute_value, choices.names_of(self.traces, key) if key else [("any", choices.ANY)])

    def _offer(self, control: Any, options: list[choices.Choice]) -> None:
        """Replace the options of a control and select again; keep its value if it is among them."""
        kept = control.value
        control.unobserve(self._choose, "value")  # assigning options selects the first of them
        control.options = options
        control.value = kept if kept in {value for _, value in options} else choices.ANY
        control.observe(self._choose, "value")
        self._choose()

    def _choose(self, _: Any = None) -> None:
        """Select again and show the result."""
        self._expression = choices.condition(
            self.service.value,
            self.operation.value,
            self.error.value,
            _limits(self.latency),
            (self.attribute.value, self.attribute_value.value),
        )
        self.chosen = choices.chosen_of(self.traces, self._expression, _limits(self.period))
        shown = min(len(self.chosen), choices.MOST_ROWS)
        slowest = f"; slowest {count(shown)} listed, click one to open it" if shown else ""
        condition = " with a matching span" if self._expression else ""
        self._summary.value = element(
            "b", {}, f"{count(len(self.chosen))} of {plural(len(self.traces), 'trace')}"
        ) + html.escape(f"{condition}{slowest}.{_sentence(choices.sample_of(self.traces))}")
        self._picture.value = choices.picture_of(self.chosen)
        self.table.options = choices.rows_of(self.chosen)
        self.table.value = None
        self._show_code()

    def _open(self, _: Any) -> None:
        """Open the waterfall of the clicked trace and close the previous one."""
        before = self._opened.children
        opened = self.table.value
        self._opened.children = () if opened is None else (waterfall(self.chosen, opened, height=self._height).live(),)
        for view in before:
            view.close()
        self._show_code()

    def _show_code(self) -> None:
        """Show the code of the selection."""
        self.code = choices.code_of(self._expression, _limits(self.period), self.table.value)
        self._shown.value = _preformatted(self.code)

    def __repr__(self) -> str:
        sample = choices.sample_of(self.traces)
        whole = f"{plural(len(self.traces), 'trace')}{f', {sample}' if sample else ''}"
        return f"Explorer({count(len(self.chosen))} of {whole})"

    def live(self) -> Self:
        """Return the controls, displayed as live widgets from now on: ``chosen`` and ``code`` follow them.

        A notebook that is reopened shows live widgets only after its cell has been run again.

        Returns
        -------
        Explorer
            The same object.

        Examples
        --------
        >>> import pandas as pd
        >>> from tracekit import TraceSet
        >>> frame = pd.DataFrame({"trace_id": ["a1"], "span_id": ["1"], "name": "x", "start_ns": 0, "end_ns": 5})
        >>> explorer = Explorer(TraceSet.from_spans(frame))
        >>> sorted(explorer._repr_mimebundle_())
        ['text/html', 'text/plain']
        >>> "application/vnd.jupyter.widget-view+json" in explorer.live()._repr_mimebundle_()
        True
        """
        self._is_live = True
        return self

    def frame(self) -> Markup:
        """Return the controls as HTML that needs neither a kernel nor a network.

        Returns
        -------
        Markup
            A sandboxed frame over a static image: the same selection, whose code can be copied, and the waterfalls of
            the slowest traces.
        """
        base = int(self.period.options[0][1])
        controls = [
            name_control(self.traces, "service_name", "service", self.service.options, self.service.index),
            name_control(self.traces, "operation", "operation", self.operation.options, self.operation.index),
            error_control(self.traces, self.error.options, self.error.index),
            *latency_controls(self.latency.options, self.latency.index),
            *period_controls(self.period.options, self.period.index, base),
            attribute_control(self.traces, self.attribute.options, self.attribute.value, self.attribute_value.value),
        ]
        data = explore_data(self.traces, controls, base)
        state = {"controls": _CONTROLS, "height": self._height}
        return framed(volume_of(self.chosen), repr(self), data, state, height=_CONTROLS + self._height, code="explore")

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        """Return the controls in a frame, with the selection as static HTML; when live, also the widgets."""
        rows = [(row,) for row, _ in choices.rows_of(self.chosen)[:10]]
        still = content(table(("slowest traces",), rows), element("pre", {}, self.code))
        live = super()._repr_mimebundle_(**options) if self._is_live else {}
        return {**live, "text/html": f"{self.frame()}{folded(still)}", "text/plain": repr(self)}


def _sentence(words: str) -> str:
    """Return words as one more sentence."""
    return f" {words[0].upper()}{words[1:]}." if words else ""


def _preformatted(code: str) -> Markup:
    """Return code with its line breaks, which ``element`` would replace."""
    return element("pre", {}, Markup(html.escape(clean(code, block=True), quote=False)))


def _limits(slider: Any) -> tuple[int | None, int | None]:
    """Return the limits set by a slider; None for an end at its stop."""
    (first, last), (low, high) = slider.index, slider.value
    return None if first == 0 else low, None if last == len(slider.options) - 1 else high


def _range(options: list[choices.Choice], description: str, label: dict[str, Any]) -> Any:
    """Return a range slider, initially without limits."""
    last = len(options) - 1
    return ipywidgets.SelectionRangeSlider(
        options=options, index=(0, last), description=description, continuous_update=False, **label
    )
