"""How tracekit draws: waterfalls, maps, charts and their static pictures.

``plot(result)`` draws a result, ``waterfall(traces, trace_id)`` a trace.  One file for each result, of the same name as
its analysis; ``static/tracekit.js`` is the front end of the notebook and of the report.  Importing this package imports
neither plotly nor anywidget.
"""

from tracekit.views.plot import plot
from tracekit.views.waterfall.waterfall import waterfall

__all__ = ["plot", "waterfall"]
