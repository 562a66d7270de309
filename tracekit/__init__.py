"""tracekit: investigate recorded distributed traces, and say what they show with numbers that add up.

There are six kinds of thing, in the order in which a notebook meets them:

sources     files, folders, archives, standard input; ``read`` knows their formats, ``load_sample`` brings its own
TraceSet    what was read, immutable: DataFrames of spans, attributes, events, ..., and of ``issues`` with the data
analyses    one question each, a TraceSet in, a result out: ``service_graph``, ``latency``, ``self_time``, ``errors``
results     DataFrames, or frozen dataclasses of them; numbers come with their limits and never draw themselves
views       ``plot(result)`` draws a result, ``waterfall(traces, trace_id)`` a trace; ``explore(traces)`` chooses by
            hand and says the choice as code, ``export(view, path)`` leaves a picture, a table or a trace in a file
report      ``report(traces, path)`` leaves one HTML file that still works when the traces have expired;
            ``report([...], path)`` is a page of your own, ``section(title, *parts)`` a heading in it

Examples in docstrings assume ``import tracekit as tk``, numpy as ``np``, pandas as ``pd``, and
``baseline, shop = tk.load_sample("small-shop")``: ten traces, drawn in ``datasets/small-shop/README.md``.

``describe()`` lists every column with its unit.  What goes wrong on purpose is a ``TracekitError``.

The names stand in ``__init__.pyi``, in reading order, and are resolved on first use: importing tracekit costs little
more than importing pandas.  ``errors`` and ``report`` are functions here; the modules of the same name are reached by
``from tracekit.errors import LoadError``, and every error is a name of its own, ``tracekit.LoadError``.
"""

import ast
from importlib import import_module
from pathlib import Path

from tracekit.errors import TracekitError as TracekitError

# isort: split
# A submodule becomes an attribute of its package once, when it is first imported.  For the modules ``errors`` and
# ``report`` that is over by now: the functions of the same name take their places for good.
from tracekit.analysis.errors import errors as errors
from tracekit.findings import Shown as _Shown
from tracekit.report import report as report

__version__ = "0.1.0"

# answers know no view: what a notebook shows of them is drawn here, and the views are imported when it first asks
_Shown.shown_by = staticmethod(lambda answer: import_module("tracekit.views.bundle").bundle(answer))

_NAMES = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
_HOMES = {line.names[0].name: line.module for line in _NAMES.body if isinstance(line, ast.ImportFrom)}
__all__ = list(_HOMES)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'tracekit' has no attribute {name!r}; tracekit.__all__ lists the public names")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value
