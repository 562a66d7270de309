"""Whether the data can be trusted: one file a check, ``run.CHECKS`` lists them.

A check takes ``inputs.Inputs`` and returns findings; what lacks an input says which, and never that all is well.
"""

from tracekit.checks.quality.run import CHECKS as CHECKS
from tracekit.checks.quality.run import quality as quality
