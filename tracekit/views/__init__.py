"""Views: waterfalls, service maps, charts and their static images.

``plot(result)`` draws a result, ``waterfall(traces, trace_id)`` a trace.  Each result has a module with the name of its
analysis; ``static/tracekit.js`` is the front end of notebooks and reports.  Importing this package imports neither
plotly nor anywidget.
"""

from tracekit.views.plot import plot
from tracekit.views.waterfall import waterfall

__all__ = ["plot", "waterfall"]
