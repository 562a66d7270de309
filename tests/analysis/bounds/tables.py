"""How often bounds hold the truth in simulated worlds whatever an adversary loses: always."""

import numpy as np
from analysis.bounds.worlds import ADVERSARIES, claim_text, complete, knowledge
from calibration import Row, Table, count

import tracekit as tk

CLAIMS = 6
ROUNDING = 1e-9


def holds(found, truth):
    """Whether bounds hold the truth, but for rounding."""
    return found.low * (1 - ROUNDING) <= truth <= found.high * (1 + ROUNDING)


def asked(rng, traces, world, said):
    """Whether each of a few bounds holds the truth, and how wide it is; those that are not estimable are left out."""
    for _ in range(CLAIMS):
        text = str(claim_text(rng))
        try:
            found = tk.bounds(traces, text, **said)
        except ValueError as error:
            if "expected an endpoint" not in str(error):
                raise
            continue
        if found.is_estimable:
            yield holds(found, world.truth(found.claim)), (found.high - found.low) / max(found.value, 1e-300)


def whatever_was_lost(rng, repeats):
    """Bounds of six figures a world hold the truth, whatever was lost and whatever is known; 1 in 20 replications."""
    for name, adversary in ADVERSARIES.items():
        right, width = [], []
        for _ in range(max(repeats // 20, 1)):
            only_5xx = bool(rng.random() < 0.5)
            world = adversary(rng, complete(rng, int(rng.integers(40, 300)), only_5xx=only_5xx), rng.uniform(0.02, 0.6))
            if not world.is_kept.any():
                continue
            said = knowledge(rng, world, name, only_5xx=only_5xx)
            for is_right, wide in asked(rng, world.traces(), world, said):
                right.append(is_right)
                width.append(wide)
        finite = np.isfinite(width)
        note = f"{finite.mean():4.0%} finite, median width {np.median(np.array(width)[finite]):.0%} of the value"
        yield Row(f"lost: {name}", *count(right), 1.0, 1.0, note)


def every_request_has_a_trace(rng, repeats):
    """With weights of 1, traces without root spans and unfinished ones are all the doubt; 1 in 10 replications."""
    right = []
    for _ in range(max(repeats // 10, 1)):
        world = ADVERSARIES["root spans, ends"](rng, complete(rng, 150, only_5xx=False), rng.uniform(0.01, 0.3))
        right += [
            one for one, _ in asked(rng, world.traces().with_weights(1), world, {"ends_last": rng.random() < 0.5})
        ]
    yield Row("weights of 1", *count(right), 1.0, 1.0)


TABLES = [Table(whatever_was_lost, seed=701, quick=60), Table(every_request_has_a_trace, seed=702, quick=60)]
