"""How often the first screen is right about planted incidents, and silent where nothing happened.

At most ``MOST`` replications of each table, of as many worlds.
"""

from itertools import cycle, islice

import numpy as np
from calibration import Row, Table, count
from checks.healthy_worlds import healthy
from checks.quality.clean_worlds import CASES
from investigation.worlds import FAULTS, incident, quiet, twice_the_traffic, waves

import tracekit as tk

ALARMS = ("critical", "warning")
MOST = 100  # replications: each takes a second or more, so that 2,000 would take an hour
SMALL = {"no trace", "one trace", "two traces", "five traces"}
MECHANISMS = {  # what the likely cause says
    "slow service": "ledger GET /entries: time per call",
    "slow calls": "Waits: calls of front call stock to stock GET /stock",
    "N+1 calls": "N+1 calls: cart GET /cart calls",
    "failures": "pricing. POST /quotes fails, and no call below it does",
}
ALERTING = {"two samplers", "recorded by ot=th"}  # their sampling is worth a warning


def answers(found, kind, tier, at):
    """What the first screen says of a planted incident, and whether that is right."""
    said = {line.check.removeprefix("screen."): dict(line.values) for line in found.first_screen}
    service = FAULTS[kind][1]
    cause = next((line.headline for line in found.first_screen if line.check == "screen.cause"), "")
    onset = said.get("started", {})
    low, high = onset.get("low_ns"), onset.get("high_ns")
    return {
        "said to regress": found.severity in ALARMS,
        "service": said.get("cause", {}).get("service_name") == service,
        "mechanism": cause.startswith(MECHANISMS[kind]),
        "release to undo": said.get("actions", {}).get("roll_back") == service,
        "tier": said.get("affected", {}).get("values", []) == [tier],
        "onset within its limits": low is not None and low <= at and (high is None or at <= high),
    }


def incidents(rng, repeats):
    """A fault in the middle of the current traces, with a release; in one tier of customers or in all."""
    seen = {}
    kinds = [(kind, tier) for kind in FAULTS for tier in (None, "enterprise")]
    for kind, tier in islice(cycle(kinds), max(min(repeats, MOST), len(kinds))):
        before, now, at = incident(rng, kind, tier=tier)
        for name, is_right in answers(tk.investigate(now, before), kind, tier, at).items():
            if name != "tier" or tier is not None:
                seen.setdefault(name, []).append(is_right)
    for name, right in seen.items():
        yield Row(f"planted incidents: {name}", *count(right), 0.93 if "onset" in name else 0.9, 1.0)


def quiet_pairs(rng, repeats):
    """Two healthy recordings: load in bursts, skewed clocks, a release that changes nothing, all healthy worlds."""
    worlds = [case for case in CASES if case not in SMALL | ALERTING]
    shops = [{}, {"bursts": 0.3}, {"offsets": {"cart": 5_000_000}}, {"release": True}]
    alarms = {severity: [] for severity in ALARMS}
    which = []
    for at in range(max(min(repeats, MOST), 4)):
        if at % 2:
            case = worlds[at // 2 % len(worlds)]
            before, now = (healthy(rng, case, 300, failing=0.03)[0].with_weights(1) for _ in range(2))
        else:
            case = str(shops[at // 2 % len(shops)])
            before, now = quiet(rng, **shops[at // 2 % len(shops)])
        found = tk.investigate(now, before)
        which += [f"{case}: {line.check}" for line in found.first_screen if line.severity in ALARMS]
        for severity, hits in alarms.items():
            hits.append(any(line.severity == severity for line in found.first_screen))
    for severity, hits in alarms.items():
        most = 0.002 if severity == "critical" else 0.05
        yield Row(f"quiet pairs: {severity}", *count(hits), 0.0, most, ", ".join(which))


def varying_load(rng, repeats):
    """Two healthy recordings with load in bursts, of twice the traffic, and in waves longer than stretches."""
    worlds = {"bursts": lambda rng: quiet(rng, bursts=0.3), "traffic": twice_the_traffic, "waves": waves}
    said = []
    for case in islice(cycle(worlds), max(min(repeats, MOST), len(worlds))):
        before, now = worlds[case](rng)
        said.append((case, tk.investigate(now, before).severity))
    which = ", ".join(case for case, severity in said if severity in ALARMS)
    for severity, most in (("critical", 0.002), ("warning", 0.05)):
        yield Row(f"varying load: {severity}", *count([one == severity for _, one in said]), 0.0, most, which)


def quiet_recordings(rng, repeats):
    """One healthy recording without a baseline: nothing is critical."""
    worlds = [case for case in CASES if case not in SMALL | ALERTING]
    cases = islice(cycle(worlds), max(min(repeats, MOST), 4))
    hits = [tk.investigate(healthy(rng, case, 400)[0].with_weights(1)).severity == "critical" for case in cases]
    yield Row("one quiet recording: critical", *count(hits), 0.0, 0.01)


def recorded_pairs(rng, repeats):
    """Parts of the bundled recordings in which nothing changed, drawn at random: nothing is said to be worse."""
    names = ("checkout-regression", "tail-sampled", "retry-storm", "cold-start", "cascading-failure")
    samples = [tk.load_sample(name)[0].head(600) for name in names]
    alarms = []
    for traces in islice(cycle(samples), max(min(repeats, MOST), 5)):
        half = rng.permutation(len(traces)) < len(traces) // 2
        sides = [traces.where(chosen[traces.forest.trace]).with_weights(1) for chosen in (half, ~half)]
        alarms.append({line.severity for line in tk.investigate(*sides).first_screen})
    yield Row("halves of recordings: critical", *count(["critical" in one for one in alarms]), 0.0, 0.002)
    yield Row("halves of recordings: warning", *count(["warning" in one for one in alarms]), 0.0, 0.05)


def recorded_periods(_, repeats):
    """The first and the second half of the bundled recordings without an incident: nothing is worse."""
    names = ("checkout-regression", "retry-storm", "cold-start", "cascading-failure", "n-plus-one-cost")
    alarms = []
    for name in names[: max(repeats, 2)]:
        traces = tk.load_sample(name)[0].with_weights(1)
        start = traces.summary["start_ns"].to_numpy(np.int64)
        middle = start <= np.median(start)
        sides = [traces.where(chosen[traces.forest.trace]) for chosen in (~middle, middle)]
        alarms.append({line.severity for line in tk.investigate(*sides).first_screen})
    yield Row("halves in time of recordings: critical", *count(["critical" in one for one in alarms]), 0.0, 0.002)
    yield Row("halves in time of recordings: warning", *count(["warning" in one for one in alarms]), 0.0, 0.05)


TABLES = (
    Table(incidents, 4801, 8),
    Table(quiet_pairs, 4802, 4),
    Table(quiet_recordings, 4803, 4),
    Table(recorded_pairs, 4804, 5),
    Table(recorded_periods, 4805, 2),
    Table(varying_load, 4806, 3),
)
