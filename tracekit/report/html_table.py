"""Tables made by other libraries: the table of their HTML and its cell colours, and nothing else."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Final

import nh3

from tracekit.text import clean
from tracekit.views.markup import Markup

_TAGS: Final = {
    *("table", "caption", "colgroup", "thead", "tbody", "tfoot", "tr", "th", "td"),
    *("b", "strong", "i", "em", "code", "br", "sub", "sup", "small"),
}
_SPANS: Final = {"colspan", "rowspan", "class"}
_STYLE: Final = re.compile(r"<style[^>]*>(.*?)</style>", re.DOTALL | re.IGNORECASE)
_RULE: Final = re.compile(r"([^{}]+)\{([^{}]*)\}")
_CELL: Final = re.compile(r"#T_\w*?_(row\d+_col\d+)\b")
_POSITION: Final = re.compile(r".*\b(row\d+) (col\d+)\b")
_DECLARATION: Final = re.compile(
    r"\s*(background-color|color|font-weight|font-style|text-align)\s*:\s*(#[0-9a-f]{3,8}|[a-z]{2,20}|\d{3})\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class HtmlTable:
    """A table as safe markup, with the style rules that its classes need.

    Parameters
    ----------
    markup
        The table.
    rules
        CSS rules; a class is named after its declarations, so that tables share them.
    """

    markup: Markup
    rules: tuple[str, ...] = ()


def html_table(part: Any) -> HtmlTable | None:
    """Return what shows itself as an HTML table in a notebook; None if the part does not."""
    markup = getattr(part, "_repr_html_", lambda: None)()
    if not isinstance(markup, str) or "<table" not in markup.lower():
        return None
    styles = _styles("".join(_STYLE.findall(markup)))
    names = {cell: f"c{hashlib.sha256(style.encode()).hexdigest()[:8]}" for cell, style in styles.items()}

    def keep(_tag: str, name: str, value: str) -> str | None:
        position = _POSITION.match(value) if name == "class" else None
        return names.get(f"{position[1]}_{position[2]}") if position else value if name != "class" else None

    safe = nh3.clean(
        markup,
        tags=_TAGS,
        clean_content_tags={"script", "style"},
        attributes={"td": _SPANS, "th": _SPANS | {"scope"}},
        attribute_filter=keep,
    )
    rules = {names[cell]: style for cell, style in styles.items()}
    return HtmlTable(
        Markup(clean(safe, block=True)), tuple(f".{name}{{{style}}}" for name, style in sorted(rules.items()))
    )


def _styles(text: str) -> dict[str, str]:
    """Return the declarations of each cell of a pandas Styler that set a colour, a weight or an alignment."""
    found: dict[str, list[str]] = {}
    for selectors, body in _RULE.findall(text):
        kept = [
            f"{one[1].lower()}:{one[2].lower()}" for part in body.split(";") if (one := _DECLARATION.fullmatch(part))
        ]
        for cell in _CELL.findall(selectors):
            found.setdefault(cell, []).extend(kept)
    return {cell: ";".join(kept) for cell, kept in found.items() if kept}
