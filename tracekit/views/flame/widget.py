"""The flame graph: the call paths of many requests as an icicle, with search, zoom and comparison with a baseline.

It is drawn on a canvas, because plotly's icicle takes 9 s for 10,000 call paths.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import traitlets

from tracekit.text import clean, duration, plural, ratio, signed_duration
from tracekit.views.colours import NO_SERVICE, Colours, colours_for
from tracekit.views.flame.layout import icicle
from tracekit.views.flame.picture import flame_picture
from tracekit.views.markup import table
from tracekit.views.widgets import Pictured
from tracekit.weights.comparability import SIDES, side_names

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.critical_path.flame import Flame
    from tracekit.columns import Array
    from tracekit.views.markup import Markup

VALUES: Final = ("path", "duration")
_FRAME: Final = 18  # pixels of a level, as in tracekit.js
_AROUND: Final = 110  # pixels of the controls and the line below
_LOWEST: Final = 220  # pixels
_NAME: Final = 40  # characters of the name of a side


def plot_flame(
    result: Flame,
    *,
    against: Flame | None = None,
    names: tuple[str, str] = SIDES,
    value: str = "path",
    search: str = "",
    height: int = 480,
) -> FlameWidget:
    """Draw aggregated call paths as an icicle: callers above callees, width proportional to time.

    Parameters
    ----------
    result
        Result of ``critical_path(traces).flame()``.
    against
        Baseline: slower call paths are red, faster ones blue.
    names
        Names of the baseline and of ``result`` in a comparison, such as ``("1.4.0", "1.5.0")``.
    value
        ``path``: critical-path time, which sums to the latency; ``duration``: duration of all spans, also of those off
        the critical path; callees with a longer total than their caller are scaled to its width.
    search
        Initial search text.  The view counts matching frames that are at least half a pixel wide in the current zoom.
    height
        Largest height of the view in pixels; a view of few levels is lower.

    Returns
    -------
    FlameWidget
        ``selected`` (traitlet) is the row of the selected call path, ``search`` the search text; both can be set, and
        follow the view after ``live()``.

    Raises
    ------
    ValueError
        If ``value`` is another one, or ``duration`` with a baseline; if the names are not two different ones.

    Examples
    --------
    >>> tk.plot(tk.critical_path(shop).flame())
    Flame(8 call paths, 152 ms per request)
    """
    if value not in VALUES:
        raise ValueError(f"expected a value of {' or '.join(VALUES)}, found {value!r}")
    if against is not None and value != "path":
        raise ValueError(
            f"expected value='path' for a comparison, found {value!r}: durations of two sets are not comparable"
        )
    shown, payload = _plain(result, value) if against is None else _difference(result, against, side_names(names))
    deepest = 1 + max(payload["depth"], default=-1)
    needed = max(_LOWEST, deepest * _FRAME + _AROUND)
    widget = FlameWidget(payload=json.dumps(payload, allow_nan=False), height=min(height, needed), search=search)
    widget._shown, widget._picture, widget._table = shown, flame_picture(payload), _longest(payload)  # noqa: SLF001
    widget._title = f"Flame({plural(len(shown), 'call path')}, {duration(payload['whole'])} {payload['unit']})"  # noqa: SLF001
    return widget


class FlameWidget(Pictured):
    """Call paths; ``selected`` is the row of the selected one, -1 for none; ``search`` is the search text."""

    payload = traitlets.Unicode("").tag(sync=True)
    selected = traitlets.Int(-1).tag(sync=True)
    search = traitlets.Unicode("").tag(sync=True)

    _input = "payload"
    _state = ("selected", "search")
    _shown: pd.DataFrame

    @property
    def path(self) -> pd.Series | None:
        """The selected call path as a row of the result's table; None without a selection."""
        return None if self.selected < 0 else self._shown.iloc[self.selected]

    @traitlets.validate("selected")
    def _check_selected(self, proposal: dict[str, Any]) -> int:
        """Check that the row exists."""
        value, known = int(proposal["value"]), len(json.loads(self.payload)["parent"])
        if not -1 <= value < known:
            raise traitlets.TraitError(f"expected the row of one of {known} call paths, or -1; found {value}")
        return value


def _subtree_sums(depth: Array, values: Array) -> Array:
    """Return the sum over the subtree of each row; rows are in preorder."""
    n = len(depth)
    end = np.full(n, n)
    open_rows: list[int] = []
    for row, level in enumerate(depth.tolist()):
        while len(open_rows) > level:
            end[open_rows.pop()] = row
        open_rows.append(row)
    reached = np.concatenate(([0.0], np.cumsum(values)))
    return np.asarray(np.maximum(reached[end] - reached[:n], 0.0))


def _plain(result: Flame, value: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the table and the payload of a single set."""
    shown = result.table
    own = shown["mean_ns"].fillna(0.0).to_numpy(float)
    total = _subtree_sums(shown["depth"].to_numpy(), own)
    if value == "duration":
        total = np.maximum(shown["duration_ns"].to_numpy(float), 0.0) / max(result.request_count, 1)
    payload = _tree(shown, total, colours_for(result))
    note = f"{plural(result.request_count, 'request')}, {plural(len(shown), 'call path')}." if len(shown) else _NOTHING
    what = "Critical-path time" if value == "path" else "Duration of all spans"
    counts = {"spans": shown["span_count"].tolist(), "traces": shown["trace_count"].tolist()}
    return shown, payload | counts | {"title": what, "note": note}


def _difference(result: Flame, before: Flame, names: tuple[str, str]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the table and the payload of a comparison."""
    shown = before.compare(result)
    depth = shown["depth"].to_numpy()
    now, was = (
        _subtree_sums(depth, shown[name].fillna(0.0).to_numpy(float))
        for name in ("current_mean_ns", "baseline_mean_ns")
    )
    change = shown["change_ns"].to_numpy(float)
    most = float(np.abs(change).max(initial=0.0))
    total = float(change.sum())
    is_gone = (now == 0) & (was > 0)
    side, other = (clean(name, limit=_NAME) for name in names)
    gone = f"{plural(int(is_gone.sum()), 'call path')} only in {side}."
    more = {
        "title": f"Change in critical-path time, {side} to {other}: {signed_duration(total)} per request",
        "note": f"{plural(len(shown), 'call path')}; red: more self time in {other} than in {side}, blue: less.",
        "gone": gone if is_gone.any() else "",
        "side": side,
        "tint": np.round(change / (most or 1.0), 3).tolist(),
        "baseline": was.tolist(),
        "change": change.tolist(),
        "presence": shown["current_presence_ratio"].fillna(0.0).tolist(),
        "baseline_presence": shown["baseline_presence_ratio"].fillna(0.0).tolist(),
    }
    return shown, _tree(shown, now, colours_for(result, before)) | more


def _tree(shown: pd.DataFrame, total: Array, palette: Colours) -> dict[str, Any]:
    """Return the columns of an icicle."""
    parent, depth = (shown[name].to_numpy(np.int64) for name in ("parent", "depth"))
    start, end = icicle(parent, depth, total)
    services = [str(service) if service == service else "" for service in shown["service_name"]]  # noqa: PLR0124 - NaN
    pairs = zip(services, shown["operation"], strict=True)
    labels = [clean(f"{service} {operation}", limit=200) for service, operation in pairs]
    names = {label: k for k, label in enumerate(dict.fromkeys(labels))}
    top = parent < 0
    return {
        "view": "flame",
        "names": list(names),
        "name": [names[label] for label in labels],
        "parent": parent.tolist(),
        "depth": depth.tolist(),
        "x0": np.round(start, 7).tolist(),
        "x1": np.round(end, 7).tolist(),
        "slot": [palette.slot(service or NO_SERVICE) for service in services],
        "value": np.round(total, 1).tolist(),
        "whole": float(total[top].sum()),
        "presence": (shown["presence_ratio"] if "presence_ratio" in shown else shown["depth"] * 0).fillna(0.0).tolist(),
        "unit": "per request",
    }


def _longest(payload: dict[str, Any]) -> Markup:
    """Return a table of the widest call paths or the largest changes."""
    weight = payload.get("change", payload["value"])
    order = sorted(range(len(weight)), key=lambda k: -abs(weight[k]))[:8]
    heads = ("call", "time per request", "change" if "change" in payload else "share")
    rows = [
        (
            payload["names"][payload["name"][k]],
            duration(payload["value"][k]),
            duration(weight[k]) if "change" in payload else ratio(min(1.0, weight[k] / (payload["whole"] or 1.0))),
        )
        for k in order
    ]
    return table(heads, rows)


_NOTHING: Final = "No call paths in these traces."
