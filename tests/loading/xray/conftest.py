"""The lanes in which X-Ray is read."""

from loading.otlp.conftest import lane

__all__ = ["lane"]
