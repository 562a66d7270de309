"""Shares of two sides: two bars for each label."""

from __future__ import annotations

import html
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from tracekit.text import ratio
from tracekit.views.charts import SHARE, chart
from tracekit.views.colours import LIGHT
from tracekit.views.markup import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracekit.views.figures import Chart

COLOURS: Final = (LIGHT[9], LIGHT[1])


class Share(NamedTuple):
    """One label: its shares of the baseline and of the other side, and the difference in words."""

    label: str
    baseline: float
    current: float
    difference: str


def two_bars(title: str, names: tuple[str, str], shares: Sequence[Share], *, heads: tuple[str, str]) -> Chart:
    """Return a chart of shares; ``names`` are those of the baseline and the other side, labels are safe."""
    labels = unique(share.label for share in shares)
    rows = [
        (html.unescape(label), ratio(share.baseline), ratio(share.current), share.difference)
        for label, share in zip(labels, shares, strict=True)
    ]
    figure = chart(
        title,
        table=table((heads[0], *map(html.unescape, names), heads[1]), rows),
        xaxis={**SHARE, "showgrid": True, "range": [0, 1], "title": {"text": "share of the traces"}},
        yaxis={"type": "category", "categoryorder": "array", "categoryarray": labels[::-1]},
        barmode="group",
        height=150 + 40 * len(shares),
        margin={"t": 72},
    )
    for at, (name, colour) in enumerate(zip(names, COLOURS, strict=True)):  # the first is the lower bar
        figure.add_bar(
            x=[share[1 + at] for share in shares],
            y=labels,
            orientation="h",
            name=name,
            marker={"color": colour},
            customdata=[f"{row[1 + at]}; {row[3]}" for row in rows],
            hovertemplate=f"%{{y}}: %{{customdata}}<extra>{name}</extra>",
        )
    return figure


def unique(labels: Iterable[str]) -> list[str]:
    """Return labels of which equal ones are numbered."""
    seen: Counter[str] = Counter()
    found = []
    for label in labels:
        seen[label] += 1
        found.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return found
