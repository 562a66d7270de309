"""tracekit: investigate recorded distributed traces, and say what they show with numbers that add up.

There are six kinds of thing, in the order in which a notebook meets them:

sources     files, folders, archives, standard input; ``read`` knows their formats, ``load_sample`` brings its own
TraceSet    what was read, immutable: DataFrames of spans, attributes, events, ..., and of ``issues`` with the data
analyses    one question each, a TraceSet in, a result out: ``service_graph``, ``latency``, ``self_time``, ``errors``
results     DataFrames, or frozen dataclasses of them; numbers come with their limits and never draw themselves
views       ``plot(result)`` draws a result, ``waterfall(traces, trace_id)`` a trace
report      ``report(traces, path)`` leaves one HTML file that still works when the traces have expired

``describe()`` lists every column with its unit.  What goes wrong on purpose is a ``TracekitError``.

Names are resolved on first use, so that importing tracekit costs little more than importing pandas.  ``errors`` and
``report`` are functions here; the modules of the same name are for ``from tracekit.errors import LoadError``.
"""

from typing import TYPE_CHECKING

from tracekit.errors import FilterError, LoadError, PullError, RenderError, SchemaError, TracekitError
from tracekit.traces import TraceSet

# isort: split
# A submodule becomes an attribute of its package once, when it is first imported.  For the modules ``errors`` and
# ``report`` that is over by now: the functions of the same name take their places for good.
from tracekit.analysis.errors import errors
from tracekit.report import report

if TYPE_CHECKING:
    from tracekit.analysis.critical_path import critical_path
    from tracekit.analysis.latency import latency
    from tracekit.analysis.self_time import self_time
    from tracekit.analysis.service_graph import service_graph
    from tracekit.findings import Estimate, Finding, Findings
    from tracekit.loading import read
    from tracekit.loading.convert import convert
    from tracekit.samples import list_samples, load_sample
    from tracekit.schema import describe
    from tracekit.views import plot, waterfall

__version__ = "0.1.0"

__all__ = [  # noqa: RUF022 - in reading order
    "read",
    "load_sample",
    "list_samples",
    "convert",
    "TraceSet",
    "describe",
    "service_graph",
    "latency",
    "self_time",
    "critical_path",
    "errors",
    "Estimate",
    "Finding",
    "Findings",
    "plot",
    "waterfall",
    "report",
    "TracekitError",
    "LoadError",
    "SchemaError",
    "FilterError",
    "PullError",
    "RenderError",
]

_HOMES = {
    "read": "tracekit.loading",
    "load_sample": "tracekit.samples",
    "list_samples": "tracekit.samples",
    "convert": "tracekit.loading.convert",
    "describe": "tracekit.schema",
    "service_graph": "tracekit.analysis.service_graph",
    "latency": "tracekit.analysis.latency",
    "self_time": "tracekit.analysis.self_time",
    "critical_path": "tracekit.analysis.critical_path",
    "Estimate": "tracekit.findings",
    "Finding": "tracekit.findings",
    "Findings": "tracekit.findings",
    "plot": "tracekit.views",
    "waterfall": "tracekit.views",
}


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


if not TYPE_CHECKING:  # a type checker would believe that every name exists

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(
                f"module 'tracekit' has no attribute {name!r}; tracekit.__all__ lists the public names"
            )
        from importlib import import_module  # noqa: PLC0415 - not a name of the table of contents

        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value
