"""Record many incidents and healthy periods of one shop: ``python datasets/record/many.py FOLDER --count 40``.

Each incident is preceded by a healthy recording with other requests; so is the next one, which makes quiet pairs.
``truth.jsonl`` has a line per recording: how late processes were woken, which shows other load, and what was planted.
Recordings that exist already are kept.  On a busy machine, ``chrt --rr 10 python datasets/record/many.py ...`` keeps
the delay of waking up below 0.3 ms.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import measure
from faults import Fault, Kind
from gauge import Gauge
from incidents import (
    COLD_LEDGER,
    EXHAUSTED_INVENTORY,
    HEALTHY,
    NAIVE_RETRIES,
    QUERY_PER_ITEM,
    SLOW_LEDGER,
    ZONES,
    Incident,
)
from load import plan
from recording import SERVICES, record

if TYPE_CHECKING:
    from load import Planned

SHOP_SEED = 7  # of the data of the shop and its delays: the same in all recordings
STABLE = {service.name: service.stable for service in SERVICES}
FAULTS: tuple[tuple[Kind, tuple[str, ...], int, bool, bool], ...] = (  # kind, services, size, with a release, in a tier
    ("slow service", ("pricing", "cart", "payments"), 40, True, False),
    ("slow service", ("checkout", "ledger", "cart"), 60, False, True),
    ("slow statements", ("ledger", "inventory", "cart"), 12, False, False),
    ("repeated statements", ("cart", "ledger", "inventory"), 12, True, False),
    ("slow network", ("checkout", "storefront"), 25, False, False),
    ("failures", ("pricing", "ledger", "inventory"), 4, False, False),
)
ZONED = (QUERY_PER_ITEM, NAIVE_RETRIES, EXHAUSTED_INVENTORY, COLD_LEDGER)
ONSET = (0.2, 0.6)  # share of the requests before a fault without a release begins
TIER = "enterprise"


def incident_of(number: int, seed: int, traces: int) -> Incident:
    """Return one incident: in turn a release for everyone, releases in one zone, and faults with their sizes."""
    chance = Random(f"{seed}/{number}")
    kinds = 1 + len(ZONED) + len(FAULTS)
    at = number % kinds
    if at == 0:
        return SLOW_LEDGER
    if at <= len(ZONED):
        return ZONED[at - 1]
    kind, services, size, with_release, in_tier = FAULTS[at - 1 - len(ZONED)]
    service = chance.choice(services)
    first = 0 if with_release else int(traces * chance.uniform(*ONSET))
    fault = Fault(kind, service, size, first, TIER if in_tier else "")
    version = f"{STABLE[service]}-rc{number}"
    truth: dict[str, Any] = {"service": service}
    if with_release:
        truth["version"] = {"baseline": STABLE[service], "during": version}
    if in_tier:
        truth["affected"] = {"attribute": "app.customer.tier", "value": TIER}
    releases = {service: version} if with_release else {}
    return Incident(kind.replace(" ", "-"), f"{service}: {kind}", releases, truth, fault=fault)


def main() -> None:
    """Read the command line and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=40, help="number of incidents")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--traces", type=int, default=500, help="requests of each recording")
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--warmup", type=int, default=60)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    for number in range(given.count + 1):
        incident = incident_of(number, given.seed, given.traces)
        zoned = incident.deployment.service if incident.deployment else ""
        _record(given, HEALTHY, number, "healthy", zoned)
        if number < given.count:
            _record(given, incident, number, "incident", zoned)


def _record(given: argparse.Namespace, incident: Incident, number: int, role: str, zoned: str) -> None:
    """Record once, write the lines and what was planted, and say so; nothing if the recording exists."""
    path = given.folder / f"{number:03}-{role}.jsonl"
    if path.exists():
        return
    prefix = f"{role[0]}{given.seed}.{number}"
    load = plan(given.seed, given.traces, given.rate, prefix)
    with Gauge() as gauge:
        made = record(incident, seed=SHOP_SEED, warmup=_warmup(given, number), load=load, zoned=zoned)
    truth = _truth(incident, made.lines, made.deployed_ns, load) if role == "incident" else {}
    line = json.dumps({"number": number, "recording": path.name, "delay_ms": round(gauge.delay_ms, 3), **truth})
    with (given.folder / "truth.jsonl").open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    part = path.with_suffix(".part")
    part.write_text("".join(f"{line}\n" for line in made.lines), encoding="utf-8")
    part.replace(path)
    answered = sum(made.statuses.values())
    print(f"{path.name}: {incident.title}; {answered} requests, delay {gauge.delay_ms:.2f} ms", flush=True)


def _warmup(given: argparse.Namespace, number: int) -> list[Planned]:
    """Return the requests before a recording."""
    return plan(given.seed, given.warmup, given.rate, f"w{given.seed}.{number}")


def _truth(incident: Incident, lines: list[str], deployed_ns: int | None, load: list[Planned]) -> dict[str, Any]:
    """Return what was planted, with the time at which it began: of the deployment, or of the first faulty request."""
    starts = sorted(int(span["startTimeUnixNano"]) for span in measure.spans(lines) if not span.get("parentSpanId"))
    first = 0 if incident.fault is None else incident.fault.first
    onset_ns = deployed_ns if deployed_ns is not None else starts[min(first, len(load) - 1)]
    keys = ("service", "version", "affected")
    truth = {key: incident.truth[key] for key in keys if key in incident.truth}
    if incident.deployment is not None:
        truth["affected"] = {"attribute": "cloud.availability_zone", "value": ZONES[1]}
    fault = None if incident.fault is None else asdict(incident.fault)
    return {"incident": incident.name, "title": incident.title, **truth, "fault": fault, "onset_time_ns": onset_ns}


if __name__ == "__main__":
    main()
