"""Sampling weights (OpenTelemetry: adjusted counts): 1 / inclusion probability of each trace, and their sources.

Aggregates count a trace of unknown weight once; ``Weights.known`` marks such traces, and ``Weights.statement``
describes what figures computed with them mean. ``resolve`` finds weights in all available sources, which the other
files implement.
"""

from tracekit.weights.known import Weighted as Weighted
from tracekit.weights.known import Weights as Weights
from tracekit.weights.known import given as given
from tracekit.weights.trace_state import probabilities as probabilities
from tracekit.weights.trace_state import probability as probability
from tracekit.weights.trace_state import recorded as recorded
