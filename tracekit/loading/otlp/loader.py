"""The loader of OTLP JSON."""

from tracekit.loading.loader import Loader
from tracekit.loading.otlp.fast import Scanner
from tracekit.loading.otlp.streaming import walk
from tracekit.loading.otlp.tolerant import load, recognises

LOADER = Loader("otlp", recognises, load, walk=walk, scanner=Scanner)
