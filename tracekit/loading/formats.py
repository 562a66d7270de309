"""The formats that can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracekit.loading.jaeger.loader import LOADER as JAEGER
from tracekit.loading.otlp.flat import LOADER as FLAT
from tracekit.loading.otlp.loader import LOADER as OTLP
from tracekit.loading.otlp.prepper import LOADER as PREPPER
from tracekit.loading.xray.loader import LOADER as XRAY
from tracekit.loading.zipkin.loader import LOADER as ZIPKIN

if TYPE_CHECKING:
    from tracekit.loading.loader import Loader

LOADERS: tuple[Loader, ...] = (OTLP, XRAY, JAEGER, ZIPKIN, FLAT, PREPPER)


def format_names() -> list[str]:
    """Return the values of ``read(..., format=...)``."""
    return sorted({loader.name for loader in LOADERS})


def loaders_of(name: str | None) -> tuple[Loader, ...]:
    """Return the loaders of a format, or all loaders for None; ValueError lists the formats."""
    loaders = tuple(loader for loader in LOADERS if name in {None, loader.name})
    if not loaders:
        message = f"expected format {', '.join(format_names())} or None, found {name!r}"
        raise ValueError(message)
    return loaders
