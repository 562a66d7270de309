"""How many traces each trace stands for: 1 / inclusion probability, with where that came from.

A weight that nobody recorded is *unknown*: aggregates count such a trace once, ``Weights.known`` tells it apart, and
``Weights.statement`` says what figures made with it are about.  ``ladder`` finds weights in everything that is known;
the other files are its rungs.
"""

from tracekit.weights.known import Weighted as Weighted
from tracekit.weights.known import Weights as Weights
from tracekit.weights.known import given as given
from tracekit.weights.trace_state import probabilities as probabilities
from tracekit.weights.trace_state import probability as probability
from tracekit.weights.trace_state import recorded as recorded
