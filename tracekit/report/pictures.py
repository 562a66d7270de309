"""Images in a report: figures of matplotlib, image files, and whatever shows itself as an image in a notebook."""

from __future__ import annotations

import base64
import struct
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracekit.views.markup import element

if TYPE_CHECKING:
    from tracekit.views.markup import Markup

_DOTS_PER_INCH, _PIXELS_PER_INCH = 144, 96
_BEGINNINGS: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
)
_SVG: Final = "image/svg+xml"
_METHODS: Final = ("_repr_svg_", "_repr_png_", "_repr_jpeg_")


def picture_part(part: Any, place: str) -> Markup | None:
    """Return an image as an element; None if the part is not an image.

    ``place`` is where the part stands, for error messages.
    """
    figure = part if hasattr(part, "savefig") else getattr(part, "figure", None)
    if hasattr(figure, "savefig"):
        return _figure(figure)
    if isinstance(part, Path):
        try:
            raw = part.read_bytes()
        except OSError as error:
            raise ValueError(f"{place}: expected an image file, found {part}: {error.strerror}") from error
        return _image(raw, part.stem, place)
    if isinstance(part, bytes):
        return _image(part, "Image", place)
    for method in _METHODS:
        found = getattr(part, method, lambda: None)()
        data = found[0] if isinstance(found, tuple) else found
        if data:
            return _image(_bytes(data, method), str(getattr(part, "alt", None) or "Image"), place)
    return None


def _bytes(raw: str | bytes, method: str) -> bytes:
    """Return the bytes of an image; notebooks may have them in base64."""
    if isinstance(raw, bytes):
        return raw
    return raw.encode() if method == "_repr_svg_" else base64.b64decode(raw)


def _figure(figure: Any) -> Markup:
    """Return a figure of matplotlib; the same figure always gives the same bytes."""
    buffer = BytesIO()
    figure.savefig(
        buffer,
        format="png",
        dpi=_DOTS_PER_INCH,
        bbox_inches="tight",
        metadata={"Software": None, "Creation Time": None},
    )
    raw = buffer.getvalue()
    axes = [axis.get_title() for axis in getattr(figure, "axes", [])]
    suptitle = getattr(getattr(figure, "_suptitle", None), "get_text", str)()
    width, height = (round(size * _PIXELS_PER_INCH / _DOTS_PER_INCH) for size in struct.unpack(">II", raw[16:24]))
    alt = "; ".join(filter(None, [suptitle, *axes])) or "Figure"
    return element("img", {"src": _address(raw, "image/png"), "alt": alt, "width": width, "height": height})


def _image(raw: bytes, alt: str, place: str) -> Markup:
    """Return an image; its kind is recognised by its first bytes, not by the name of the file."""
    kind = next((kind for beginning, kind in _BEGINNINGS if raw.startswith(beginning)), None)
    if kind is None and b"<svg" in raw[:4096]:
        kind = _SVG
    if kind is None:
        raise ValueError(
            f"{place}: expected a PNG, JPEG, GIF, WebP or SVG image, found bytes starting with {raw[:8]!r}"
        )
    return element("img", {"src": _address(raw, kind), "alt": alt})


def _address(raw: bytes, kind: str) -> str:
    """Return an image as a data address; scripts and addresses inside an SVG have no effect there."""
    return f"data:{kind};base64,{base64.b64encode(raw).decode('ascii')}"
