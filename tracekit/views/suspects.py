"""Suspects of a change as a card: the verdict, where the time was added on the way to it, evidence, and the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.analysis.suspects.calls import CALL
from tracekit.analysis.suspects.evidence import ELEMENTS
from tracekit.analysis.suspects.paths import NEXT_CALL, OTHER_CALLS, SELF_TIME
from tracekit.text import clean, from_to, interval, p_value, plural, ratio, shortened, signed_duration
from tracekit.views.card import NARROW, Card, Drawing, Words
from tracekit.views.colours import LIGHT, colours_for
from tracekit.views.markup import element
from tracekit.views.share_rows import ShareRow, share_rows
from tracekit.views.svg import INK, LINE, service_fill, text

if TYPE_CHECKING:
    from collections.abc import Hashable

    from tracekit.analysis.suspects.result import Suspects
    from tracekit.views.colours import Colours
    from tracekit.views.markup import Markup

_NAME: Final = 80
_EVIDENCE, _VALUES, _OTHERS = 5, 3, 4  # rows
_LABEL, _VALUE, _BAR = 20.0, 258.0, 268.0  # left end of labels, right end of values, left end of bars
_TOP, _HEAD, _STEP = 26.0, 20.0, 17.0  # heights
_CHARACTER: Final = 6.0
_SLOWER, _FASTER, _WHOLE = LIGHT[1], LIGHT[2], LIGHT[9]
_FADED: Final = 0.4  # opacity of changes that are not significant
_KINDS: Final = {
    "own": "self time",
    "way in": "calls to it",
    "way out": "calls from it",
    "starved": "self time and calls",
    "more calls": "more calls from it",
    "shape": "other child operations",
    "failing": "failures",
}
_ATTRIBUTES: Final = {
    "service_version": "version",
    "k8s_pod_name": "pod",
    "host_name": "host",
    "service_instance_id": "instance",
}


def plot_suspects(result: Suspects) -> Card:
    """Draw the first suspect with its path, evidence and breakdown, and list the others.

    Parameters
    ----------
    result
        Result of ``suspects``.

    Returns
    -------
    Card
        Words and drawings: the verdict; every step of the path from the entry of the requests to the suspect with the
        time that it adds, which sum to the change; evidence for and against; versions, pods, hosts and instances; the
        other services.  Words alone if nothing changed significantly or nothing can be compared.

    Examples
    --------
    >>> before, during = tk.load_sample("checkout-regression")
    >>> tk.plot(tk.suspects(before, during)).title
    'Likely suspect: ledger.'
    >>> tk.plot(tk.suspects(before, before)).title.partition(":")[0]
    'The traces show no significant change'
    """
    said = result.findings[0].headline if len(result.findings) else repr(result)
    if not result.is_assessable or result.is_no_change:
        return Card(said)
    title, _, rest = said.partition(". ")
    first = result.table.iloc[0].to_dict()
    colours = colours_for(result)
    drawn = [part for part in (_path(result, colours), _breakdown(result)) if part is not None]
    words = [*_evidence(result, first), *_others(result)]
    return Card(f"{title}.", [rest] if rest else [], [[*([drawn] if drawn else []), words]])


def _path(result: Suspects, colours: Colours) -> Drawing | None:
    """Return the chain of calls to the first suspect with the time that every step adds; None without one."""
    path = result.path[result.path["rank"] == 1]
    if path.empty:
        return None
    change = path["excess_ns"].to_numpy(float)
    ends = np.concatenate([[0.0], np.cumsum(change)])
    low, high = float(ends.min()), float(ends.max())
    scale = (NARROW - _BAR - 2) / ((high - low) or 1.0)
    before, now = (float(path[name].sum()) for name in ("baseline_ns", "current_ns"))
    head = f"Mean time per request, {from_to(before, now)}"
    marks, y = [text(0.0, 13.0, head, font_weight=600)], _TOP
    nodes: list[tuple[float, str]] = []
    steps = path.to_dict("records")
    for at, step in enumerate(steps):
        if at == 0 or steps[at - 1]["step"] == NEXT_CALL:
            marks.append(text(_LABEL, y + 10, _node(step), font_weight=600))
            nodes.append((y + 6, str(step["service_name"])))
            y += _HEAD
        marks += _step(step, y, _BAR + (ends[at : at + 2] - low) * scale)
        y += _STEP
    line = {
        "x1": 6.0,
        "x2": 6.0,
        "y1": nodes[0][0],
        "y2": nodes[-1][0],
        "stroke": LINE,
        "stroke-width": 2,
        "class": "tk-line",
    }
    dots = [_dot(place, service, colours, is_last=place == nodes[-1][0]) for place, service in nodes]
    marks += [element("line", line), *dots, *_sum(float(change.sum()), y, _BAR + (ends[[0, -1]] - low) * scale)]
    words = f"{head}: " + ", ".join(
        f"{_node(step)} {_label(step)} {signed_duration(step['excess_ns'])}" for step in steps
    )
    return Drawing(marks, y + 24, words)


def _node(step: dict[Hashable, Any]) -> str:
    """Return service and operation of a step."""
    return shortened(f"{clean(step['service_name'])} {clean(step['operation'])}", int((NARROW - _LABEL) / 6.6))


def _label(step: dict[Hashable, Any]) -> str:
    """Return what a step is."""
    if step["step"] == NEXT_CALL:
        return f"call to {clean(step['callee_service'], limit=_NAME)}, outside it"
    return {SELF_TIME: "self time", OTHER_CALLS: "its other calls"}[step["step"]]


def _step(step: dict[Hashable, Any], y: float, ends: Any) -> list[Markup]:
    """Return the row of a step: its name, change, and a bar that begins where the one before ended."""
    low, high = float(step["excess_low_ns"]), float(step["excess_high_ns"])
    value = signed_duration(step["excess_ns"])
    label = shortened(_label(step), int((_VALUE - _LABEL) / _CHARACTER) - len(value) - 1)
    left, wide = float(ends.min()), max(1.0, float(np.ptp(ends)))
    paint = {"fill": _SLOWER if step["excess_ns"] > 0 else _FASTER}
    faded = {} if low > 0 or high < 0 else {"fill-opacity": _FADED}
    limits = interval(low, high, signed_duration)
    words = f"{_label(step)}: {from_to(step['baseline_ns'], step['current_ns'])}, {value} ({limits})"
    box = {"x": left, "y": y + 2, "width": wide, "height": 10.0, **paint, **faded}
    return [
        text(_LABEL, y + 10, label, kind="mute"),
        text(_VALUE, y + 10, value, text_anchor="end"),
        element("rect", box, element("title", {}, words)),
    ]


def _sum(change: float, y: float, ends: Any) -> list[Markup]:
    """Return the row of the sum."""
    box = {"x": float(ends.min()), "y": y + 6, "width": max(1.0, float(np.ptp(ends))), "height": 10.0, "fill": _WHOLE}
    return [
        element("line", {"x1": _LABEL, "x2": NARROW, "y1": y + 1, "y2": y + 1, "stroke": LINE, "class": "tk-line"}),
        text(_LABEL, y + 14, "sum", font_weight=600),
        text(_VALUE, y + 14, signed_duration(change), text_anchor="end", font_weight=600),
        element("rect", box),
    ]


def _dot(y: float, service: str, colours: Colours, *, is_last: bool) -> Markup:
    """Return the dot of a service; the suspect has an outline."""
    ring = {"stroke": INK, "stroke-width": 2, "class": f"tk-s{colours.slot(service)} tk-outline"} if is_last else {}
    return element("circle", {"cx": 6.0, "cy": y, "r": 5.0, **service_fill(colours.slot(service)), **ring})


def _breakdown(result: Suspects) -> Drawing | None:
    """Return the versions, pods, hosts and instances with the excess; None without any."""
    parts = result.breakdown[(result.breakdown["rank"] == 1) & result.breakdown["attribute"].isin(list(_ATTRIBUTES))]
    top = parts.groupby("attribute", sort=False).head(_VALUES)
    rows = [
        ShareRow(
            f"{_ATTRIBUTES[row['attribute']]} {clean(row['value'])}{' (new)' * bool(row['is_new'])}",
            float(row["excess_ratio"]),
            LIGHT[1],
        )
        for row in top.to_dict("records")
    ]
    return share_rows("Share of the excess", rows) if rows else None


def _evidence(result: Suspects, first: dict[Hashable, Any]) -> list[Words]:
    """Return the evidence for and against the first suspect."""
    mine = result.evidence[result.evidence["rank"] == 1]
    name = clean(first["service_name"], limit=_NAME)
    changed = mine["is_changed"].to_numpy(bool)
    parts = []
    for heading, rows in (
        (f"Evidence for {name}: changed", mine[changed]),
        (f"Evidence against {name}: no significant change", mine[~changed]),
    ):
        more = [f"and {plural(len(rows) - _EVIDENCE, 'other')}"] * (len(rows) > _EVIDENCE)
        lines = [_element(row) for row in rows.head(_EVIDENCE).to_dict("records")]
        parts += [Words(heading, [*lines, *more])] if lines else []
    return parts


def _element(row: dict[Hashable, Any]) -> str:
    """Return one element of the evidence."""
    ends = [
        clean(row[name], limit=_NAME) for name in ("caller_service", "callee_service") if isinstance(row[name], str)
    ]
    calls = f" from {' to '.join(ends)}" if ends else ""
    change = from_to(row["baseline_ns"], row["current_ns"])
    if row["baseline_ratio"] >= 0:  # a deviation
        change = f"{from_to(row['baseline_ratio'], row['current_ratio'], ratio)} of the traces"
    elif row["element"] == ELEMENTS[CALL]:
        change = f"{row['current_ns'] / max(row['baseline_ns'], 1.0):.1f} times as many per trace"
    sure = f" (p {p_value(row['p_value'])})" if row["is_changed"] else ""
    return f"{row['element']}{calls}, {clean(row['operation'], limit=_NAME)}: {change}{sure}"


def _others(result: Suspects) -> list[Words]:
    """Return the other services with evidence, ranked."""
    others = result.table.iloc[1:]
    lines = [_other(row) for row in others.head(_OTHERS).to_dict("records")]
    more = [f"and {plural(len(others) - _OTHERS, 'other')}"] * (len(others) > _OTHERS)
    return [Words("Other services, ranked", [*lines, *more])] if lines else []


def _other(row: dict[Hashable, Any]) -> str:
    """Return one of the other services."""
    parts = [f"{clean(row['service_name'], limit=_NAME)}: {row['verdict']}, {_KINDS[row['kind']]}"]
    if row["excess_ns"] > 0:
        parts.append(
            f"{signed_duration(row['excess_ns'])} per affected trace, {ratio(row['excess_ratio'])} of the excess"
        )
    return ", ".join(parts)
