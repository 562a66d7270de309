"""Load, check and analyze recorded distributed traces.

The public names, in the order in which a notebook uses them:

reading     ``read`` detects the format of files, folders, archives and standard input; ``load_sample`` reads a bundled
            dataset; ``listen`` receives the traces of your own application
TraceSet    the traces, immutable: DataFrames of spans, attributes, events and so on, and of data-quality ``issues``
analyses    functions of a TraceSet: ``service_graph``, ``latency``, ``self_time``, ``errors``, ``critical_path``
results     DataFrames, or frozen dataclasses of DataFrames; estimates have a confidence interval
views       ``plot(result)`` draws a result, ``waterfall(traces, trace_id)`` a trace; ``explore(traces)`` selects
            traces interactively; ``export(view, path)`` writes an image, a table or a trace to a file
answers     ``investigate(traces, baseline)`` runs all checks: ``.first_screen`` says what is wrong and what to do
report      ``report(traces, path)`` writes one self-contained HTML file; ``report([...], path)`` writes a page with
            your own content, ``section(title, *parts)`` adds a heading

Examples in docstrings assume ``import tracekit as tk``, numpy as ``np``, pandas as ``pd``, and
``baseline, shop = tk.load_sample("small-shop")``: ten traces, described in ``datasets/small-shop/README.md``.

``describe()`` lists every column with its unit.  Loading, filter, AWS and rendering errors are a ``TracekitError``.

``__init__.pyi`` lists the public names.  They and pandas are imported on first use, so ``import tracekit`` takes little
time.  ``tracekit.errors`` and ``tracekit.report`` are functions; to import from the modules of the same name, write
``from tracekit.errors import LoadError``.  Every exception is also a public name, ``tracekit.LoadError``.
"""

import ast
from importlib import import_module
from pathlib import Path

from tracekit.errors import TracekitError as TracekitError

# isort: split
# Importing a submodule for the first time sets it as an attribute of the package.  These lines import the modules
# ``errors``, ``pull`` and ``report`` at the latest, so their attributes are not set again: functions keep the names.
from tracekit.findings import Shown as _Shown
from tracekit.pull import pull as pull
from tracekit.report import report as report

__version__ = "0.1.0"

del globals()["errors"]  # the module: ``__getattr__`` imports the function of this name on first use

# Results do not import views: this function draws a result in a notebook, and imports the views on first use.
_Shown.shown_by = staticmethod(lambda result: import_module("tracekit.views.bundle").bundle(result))

_NAMES = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
_MODULES = {line.names[0].name: line.module for line in _NAMES.body if isinstance(line, ast.ImportFrom)}
__all__ = list(_MODULES)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'tracekit' has no attribute {name!r}; tracekit.__all__ lists the public names")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value
