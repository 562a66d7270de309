"""Themes: figures and images are made in light colours, which are then exchanged.

plotly figures and ``img`` elements cannot follow the theme of the page.  The theme ``page`` is legible on light and on
dark pages: a transparent background and medium colours.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from tracekit.views.colours import DARK, LIGHT
from tracekit.views.svg import ACCENT, ERROR, INK, LINE, MUTE, PAPER

if TYPE_CHECKING:
    from tracekit.views.markup import Markup

THEMES: Final = ("page", "light", "dark")
HEAT: Final = ("#dcebfa", "#b3d4f5", "#7fb5ea", "#4a90d9", "#1f68b8", "#0b3f7d")  # from few to many
_DARK_HEAT: Final = ("#16324f", "#1d4b7c", "#2a6db0", "#4a93dc", "#86bdf2", "#d6e9fc")
_DARK: Final = {
    **dict(zip(LIGHT, DARK, strict=True)),
    **dict(zip(HEAT, _DARK_HEAT, strict=True)),
    INK: "#e4e6ea",
    MUTE: "#a3a9b3",
    LINE: "#3a3f48",
    PAPER: "#16181d",
    ERROR: "#ff6b6b",
    ACCENT: "#64b5f6",
}
_LIGHT: Final = {dark: light for light, dark in reversed(_DARK.items())}
_TRANSPARENT: Final = "rgba(0,0,0,0)"
_PAGE: Final = {  # all other colours have a contrast of 3:1 on white and on JupyterLab's #111111
    **{colour: f"rgba(74,144,217,{0.15 + 0.17 * k:.2f})" for k, colour in enumerate(HEAT)},
    "#7a4964": "#a3688a",
    "#753400": "#a85a1c",
    "#5b32a8": "#8a63d2",
    "#4e382b": "#8c6a56",
    INK: "#757a83",
    MUTE: "#757a83",
    LINE: "rgba(128,128,128,0.3)",
    PAPER: _TRANSPARENT,
}
_PAINT: Final = re.compile(r'(?<=fill="|roke=")#[0-9a-f]{6}(?=")')
_RGBA: Final = re.compile(r"rgba\((\d+),(\d+),(\d+),([\d.]+)\)")


def faded(colour: str, share: float) -> str:
    """Return a colour with this opacity."""
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share:g})"


def repainted(part: Any, theme: str) -> Any:
    """Return a part of a figure in the colours of another theme."""
    if theme not in THEMES:
        raise ValueError(f"expected a theme of {' or '.join(THEMES)}, found {theme!r}")
    paints = {"page": _PAGE, "light": _LIGHT, "dark": _DARK}[theme]
    if isinstance(part, dict):
        return {key: repainted(value, theme) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [repainted(value, theme) for value in part]
    return _repainted_colour(part, paints) if isinstance(part, str) else part


def repainted_picture(picture: Markup, theme: str) -> Markup:
    """Return a static image in the colours of another theme."""
    from tracekit.views.markup import Markup  # noqa: PLC0415 - for types elsewhere

    def tag(found: re.Match[str]) -> str:
        return _PAINT.sub(lambda colour: str(repainted(colour[0], theme)), found[0])

    return Markup(re.sub(r"<[^<>]*>", tag, picture))


def on_page(figure: dict[str, Any]) -> dict[str, Any]:
    """Return a figure that is legible on light and dark pages."""
    shown: dict[str, Any] = repainted(figure, "page")
    look = shown["layout"].get("template", {}).get("layout", {})
    if "hoverlabel" in look:
        look["hoverlabel"] = repainted(figure["layout"]["template"]["layout"]["hoverlabel"], "dark")
    return shown


def _repainted_colour(text: str, paints: dict[str, str]) -> str:
    """Return a known colour in the other theme; any other text unchanged."""
    if found := _RGBA.fullmatch(text):
        red, green, blue, share = found.groups()
        solid = f"#{int(red):02x}{int(green):02x}{int(blue):02x}"
        other = paints.get(solid, solid)
        return faded(other, float(share)) if other[0] == "#" else other
    return paints.get(text, text)
