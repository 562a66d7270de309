"""tracekit: investigate recorded distributed traces in Jupyter."""

from tracekit.traces import TraceSet

__all__ = ["TraceSet"]
