"""Static images written by Python: SVG without scripts, style sheets or fonts.

Attributes have the colours of the light theme; classes let a page restyle an inline image:
``tk-ink``, ``tk-mute``, ``tk-line``, ``tk-paper``, ``tk-error``, and ``tk-s0`` to ``tk-s9`` for services.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from tracekit.text import LABEL_LIMIT, clean
from tracekit.views.colours import LIGHT
from tracekit.views.markup import Markup, attribute, element

if TYPE_CHECKING:
    from collections.abc import Iterable

INK: Final = "#1c1e21"
MUTE: Final = "#5c6370"
LINE: Final = "#dcdfe3"
PAPER: Final = "#ffffff"
ERROR: Final = "#d32f2f"
ACCENT: Final = "#1976d2"
FONT: Final = "system-ui, -apple-system, 'Segoe UI', sans-serif"


def text(x: float, y: float, words: str, *, kind: str = "ink", **more: object) -> Markup:
    """Return a line of text; ``kind`` is ``ink``, ``mute`` or ``error``."""
    fill = {"ink": INK, "mute": MUTE, "error": ERROR}[kind]
    extra = {key.replace("_", "-"): value for key, value in more.items()}
    attributes = {"x": x, "y": y, "fill": fill, "class": f"tk-{kind}", **extra}
    return element("text", attributes, clean(words, limit=LABEL_LIMIT))


def service_fill(slot: int) -> dict[str, object]:
    """Return the attributes for the colour of a service."""
    return {"fill": LIGHT[slot], "class": f"tk-s{slot}"}


def picture(width: float, height: float, title: str, children: Iterable[Markup], *, paper: bool = False) -> Markup:
    """Return an SVG element with its accessible name."""
    ground = [element("rect", {"width": width, "height": height, "fill": PAPER, "class": "tk-paper"})] if paper else []
    shown = [*ground, *children]
    has_text = any("<text" in child for child in shown)
    attributes = {
        "xmlns": "http://www.w3.org/2000/svg",
        "viewBox": f"0 0 {attribute(float(width))} {attribute(float(height))}",
        "width": width,
        "height": height,
        "font-family": FONT if has_text else None,
        "font-size": 11 if has_text else None,
        "role": "img",
        "aria-label": title,
    }
    return element("svg", attributes, *shown)


def image(svg: str, alternative: str, **more: object) -> Markup:
    """Return an ``img`` element with the image as a data URL.

    JupyterLab's sanitiser removes inline SVG but keeps such an element.
    """
    code = base64.b64encode(svg.encode("utf-8")).decode("ascii")
    return element("img", {"alt": alternative, "src": f"data:image/svg+xml;base64,{code}", **more})
