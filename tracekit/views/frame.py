"""Views in sandboxed frames: HTML that draws itself without a kernel, a network or access to the page around it.

A frame is the default output of every view in a notebook.  It contains its script and its data, compressed, and a
content security policy that allows this script only.  The frame is laid over the static image and is transparent until
the script has drawn: where frames or scripts are removed, the image remains.

A sandboxed frame cannot read the theme of the page, but it can read its own height: a style rule makes the frame
slightly higher on dark pages, without a script.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import zlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracekit.text import clean
from tracekit.views.markup import Markup, attribute, element
from tracekit.views.svg import image

if TYPE_CHECKING:
    from collections.abc import Mapping

STATIC: Final = Path(__file__).parent / "static"
_DARKER: Final = 4  # pixels that a dark page adds to the height of a frame
_NOTE: Final = 28  # pixels for the line below a view, which says how to select in Python
_FAST, _SMALL = 1, 9  # levels: of data, within 6% of the smallest size in a tenth of the time; of the script, once
_LOADER: Final = """
const bytes = text => Uint8Array.fromBase64?.(text) ?? Uint8Array.from(atob(text), c => c.charCodeAt(0));
const unpacked = id => {
  const packed = new Blob([bytes(document.getElementById(id).textContent)]).stream();
  return new Response(packed.pipeThrough(new DecompressionStream('gzip')));
};
Promise.all([unpacked('tk-data').arrayBuffer(), unpacked('tk-code').text()]).then(([data, code]) => {
  const script = document.createElement('script');
  globalThis.tkData = data;
  script.type = 'module';
  script.textContent = code;
  document.head.append(script);
});
"""
_SCRIPTS: Final = {
    "view": ("frame.js", "tracekit.js", "frame_view.js"),
    "chart": ("frame.js", "frame_chart.js"),
    "explore": ("frame.js", "tracekit.js", "frame_explore.js"),
}
_DARK_PAGES: Final = (  # JupyterLab and nbconvert, VS Code, Colab
    'body[data-jp-theme-light="false"]',
    "body.vscode-dark",
    "body.vscode-high-contrast:not(.vscode-high-contrast-light)",
    'html[theme="dark"]',
)
_RULES: Final = (
    ".tk-framed{position:relative;height:var(--tk-height);overflow:hidden}"
    ".tk-framed>img{display:block;max-width:100%;max-height:var(--tk-height)}"
    ".tk-framed>iframe{position:absolute;inset:0;width:100%;height:100%;border:0;background:transparent}"
    f":is({','.join(_DARK_PAGES)}) .tk-framed{{height:calc(var(--tk-height) + {_DARKER}px)}}"
)
_POLICY: Final = "default-src 'none'; script-src {} {}; img-src data:; base-uri 'none'; form-action 'none'"


def framed(
    picture: Markup, title: str, data: bytes, state: Mapping[str, Any], *, height: int, code: str = "view"
) -> Markup:
    """Return a view in a frame over its static image.

    Parameters
    ----------
    picture
        Static image, an ``svg`` element.
    title
        Accessible name.
    data
        Input of the front end.
    state
        Other values for the front end, as JSON.
    height
        Height of the view in pixels.
    code
        Front end: ``view`` for widgets, ``chart`` for figures, ``explore``.

    Returns
    -------
    Markup
        HTML for a notebook output.
    """
    tall = height + _NOTE
    page = _page(title, data, {**state, "frame": tall}, code)
    frame = Markup(
        f'<iframe title="{attribute(title)}" sandbox="allow-scripts allow-downloads" allow="clipboard-write"'
        f' width="100%" height="{tall}" frameborder="0" srcdoc="{html.escape(page)}"></iframe>'
    )
    style = Markup(f"<style>{_RULES}</style>")
    box = {"class": "tk-framed", "style": f"--tk-height:{tall}px"}
    return Markup(style + element("div", box, image(picture, title), frame))


def folded(table: Markup) -> Markup:
    """Return a table that is shown on demand."""
    return element("details", {}, element("summary", {}, "Table"), table)


def _page(title: str, data: bytes, state: Mapping[str, Any], code: str) -> str:
    """Return the document of a frame."""
    script, digest = _script(code)
    known = json.dumps(state, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
    raw = len(known).to_bytes(4, "little") + known + data
    policy = _POLICY.format(_source(_LOADER), digest)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><title>{html.escape(clean(title))}</title>'
        f'<script type="application/x-tracekit" id="tk-code">{script}</script>'
        f'<script type="application/x-tracekit" id="tk-data">{_packed(raw)}</script><script>{_LOADER}</script>'
    )


@cache
def _script(code: str) -> tuple[str, str]:
    """Return the compressed script of a frame, and its source expression in a content security policy."""
    text = "\n".join((STATIC / name).read_text(encoding="utf-8") for name in _SCRIPTS[code])
    return _packed(text.encode("utf-8"), level=_SMALL), _source(text)


def _packed(raw: bytes, *, level: int = _FAST) -> str:
    """Return base64 of the gzipped bytes, reproducibly: without the operating system."""
    data = zlib.compress(raw, level, wbits=31)
    return base64.b64encode(data[:8] + b"\0\xff" + data[10:]).decode("ascii")


def _source(text: str) -> str:
    """Return the source expression of a script in a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"
