"""How often planted patterns are named, and how often anything else is: shops of random rate, size, depth and noise."""

from calibration import Row, Table, count
from checks.patterns.pattern_worlds import FOLLOWS, HEALTHY, PLANTED, Shop
from checks.quality.clean_worlds import CASES, recording

import tracekit as tk
from tracekit import TraceSet


def planted_patterns(rng, repeats):
    """Each detector names its pattern (recall), and no detector names another one (precision)."""
    for check, (plant, share) in PLANTED.items():
        found = [{f.check for f in tk.patterns(Shop(rng).traces(plant, share))} for _ in range(repeats)]
        yield Row(f"{check}: recall", *count([check in names for names in found]), 0.95, 1)
        yield Row(
            f"{check}: another pattern",
            *count([bool(names - {check} - FOLLOWS.get(check, set())) for names in found]),
            0,
            0.05,
        )


def patterns_of_healthy_shops(rng, repeats):
    """At most one healthy recording in 20 has a notice, and none a warning."""
    for case in CASES:
        found = []
        for _ in range(repeats):
            frame, _ = recording(rng, case, n=int(rng.integers(30, 300)))
            found.append({finding.severity for finding in tk.patterns(TraceSet.from_spans(frame))})
        yield Row(f"{case}: notice", *count([bool(one) for one in found]), 0, 0.05)
        yield Row(f"{case}: warning", *count(["warning" in one for one in found]), 0, 0.001)
    for case in ("queues", "X-Ray sends", "skewed clocks"):
        pairs = [
            [TraceSet.from_spans(recording(rng, case, n=int(rng.integers(10, 300)))[0]) for _ in "ab"] for _ in found
        ]
        yield Row(f"{case}, two recordings: notice", *count([len(tk.patterns(*pair)) > 0 for pair in pairs]), 0, 0.05)
    for plant in HEALTHY:
        alone = [bool(len(tk.patterns(Shop(rng).traces(plant)))) for _ in range(repeats)]
        yield Row(f"shops of random shape, {plant.__name__}: notice", *count(alone), 0, 0.05)


TABLES = [Table(planted_patterns, 1, 3), Table(patterns_of_healthy_shops, 2, 3)]
