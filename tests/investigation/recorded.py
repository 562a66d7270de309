"""How often the first screen is right about incidents of the recorder.

``python tests/investigation/recorded.py FOLDER`` prints it, with the first screens that are wrong;
``datasets/record/many.py`` records them.  Every incident is compared with the healthy recording before it, and every
healthy recording with the next one.
"""

import argparse
import json
import sys
from pathlib import Path

import tracekit as tk

QUIET_MS = 0.5  # mean delay of waking up, by which other load shows; on an idle machine it is about 0.1 ms
KNOWN = 1  # the recorder keeps every trace
ALARMS = ("critical", "warning")
MECHANISMS = {  # incident, or kind of fault: what the likely cause says
    "slow-ledger": ("N+1 calls",),
    "query-per-item": (
        "N+1 calls",
        "calls per request",
        "in the baseline; ",
    ),  # two to five items: seldom as many as an N+1 pattern has
    "naive-retries": ("Retries",),
    "exhausted-inventory": ("confirm at warehouse", "Waits"),
    "cold-ledger": ("Cold starts", "start environment"),
    "slow-service": ("time per call", "without calls to other services"),
    "slow-statements": ("time per call",),
    "repeated-statements": ("N+1 calls", "calls per request"),
    "slow-network": ("Waits: calls", "time per call"),
    "failures": ("fails, and no call below it does",),
}


def answers(found, planted):
    """What the first screen says of a planted incident, and whether that is right; None where nothing was planted."""
    said = {line.check.removeprefix("screen."): line for line in found.first_screen}
    numbers = {name: dict(line.values) for name, line in said.items()}
    cause = said["cause"].headline if "cause" in said else ""
    onset = numbers.get("started", {})
    low, high, at = onset.get("low_ns"), onset.get("high_ns"), planted["onset_time_ns"]
    releases = [(one["service_name"], one["version"]) for one in numbers.get("changed", {}).get("releases", [])]
    version, affected = planted.get("version"), planted.get("affected")
    return {
        "severity": found.severity in ALARMS,
        "service": numbers.get("cause", {}).get("service_name") == planted["service"],
        "mechanism": any(words in cause for words in MECHANISMS[planted["incident"]]),
        "version": None if version is None else (planted["service"], version["during"]) in releases,
        "tenant": None if affected is None else affected["value"] in numbers.get("affected", {}).get("values", []),
        "onset": None if low is None else low <= at and (high is None or at <= high),
    }


def pairs(folder):
    """Paths of the recordings of each pair on a quiet machine, and what was planted in the second; None for nothing."""
    truth = {one["recording"]: one for one in map(json.loads, (folder / "truth.jsonl").read_text().splitlines())}
    quiet = {name for name, one in truth.items() if one["delay_ms"] <= QUIET_MS}
    for number in range(1 + max(one["number"] for one in truth.values())):
        names = f"{number:03}-healthy.jsonl", f"{number:03}-incident.jsonl", f"{number + 1:03}-healthy.jsonl"
        for name in names[1:]:
            if {names[0], name} <= quiet and (folder / name).exists():
                yield folder / names[0], folder / name, truth[name] if "incident" in truth[name] else None


def measure(folder, say=print):
    """Return the answers for each incident, and the worst severity of each quiet pair."""
    right, alarms = [], []
    for before, now, planted in pairs(folder):
        sides = [tk.read(path, progress=False).with_weights(KNOWN) for path in (before, now)]
        found = tk.investigate(sides[1], sides[0])
        if planted is None:
            worst = {line.severity for line in found.first_screen}
            alarms.append(next((one for one in ALARMS if one in worst), ""))
            if alarms[-1]:
                say(f"{before.name} {now.name}: {alarms[-1]}\n{found}\n")
            continue
        answer = answers(found, planted)
        right.append(answer)
        if wrong := [name for name, value in answer.items() if value is False]:
            say(f"{now.name} {planted['title']} {planted['onset_time_ns']}: not {', '.join(wrong)}\n{found}\n")
    return right, alarms


def rows(right, alarms):
    """Yield the counts of every question: name, number of right answers, of how many."""
    for name in right[0] if right else ():
        known = [one[name] for one in right if one[name] is not None]
        yield name, sum(known), len(known)
    for severity in ALARMS:
        yield f"quiet pairs: {severity}", alarms.count(severity), len(alarms)


def main():
    """Print the counts of a folder of recordings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    for name, hits, of in rows(*measure(parser.parse_args().folder)):
        sys.stdout.write(f"{name:<24s} {hits} of {of}\n")


if __name__ == "__main__":
    main()
