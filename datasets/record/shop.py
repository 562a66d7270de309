"""Record a dataset: ``python datasets/record/shop.py NAME``, such as ``checkout-regression`` or ``tail-sampled``."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import measure
import publish
import tail_sampled
from incidents import HEALTHY, INCIDENTS, THREE_RELEASES, Incident
from load import Planned, one_after_another, plan
from recording import Recording, record

SDK = ["opentelemetry-sdk", "opentelemetry-exporter-otlp-json-file", "opentelemetry-semantic-conventions"]
XRAY_SDK = ["aws-xray-sdk", "boto3", "moto"]
RECORDINGS = {"checkout-regression": "slow-ledger"}
QUIET = 0.03


@dataclass(frozen=True)
class Options:
    """What the command line asked for."""

    name: str
    seed: int
    traces: int
    rate: float
    warmup: int
    out: Path

    @property
    def command(self) -> str:
        """The command that records this again."""
        return (
            f"python datasets/record/shop.py {self.name} --seed {self.seed} --traces {self.traces}"
            f" --rate {self.rate:g} --warmup {self.warmup}"
        )


def record_incident(options: Options) -> None:
    """Record the shop before and during an incident, under the same load, and enter the dataset."""
    incident = INCIDENTS[RECORDINGS[options.name]]
    recorded_at = datetime.now(UTC).isoformat(timespec="seconds")
    load = plan(options.seed, options.traces, options.rate)
    recordings = {
        role: record(state, seed=options.seed, warmup=_warmup(options), load=load)
        for role, state in (("baseline", HEALTHY), ("during", incident))
    }
    before, during = (recording.lines for recording in recordings.values())
    _check_quiet(before, during, incident)
    files = []
    for role, recording in recordings.items():
        path = options.out / options.name / f"{role}.jsonl.zst"
        publish.write(path, recording.lines)
        files.append(publish.file_entry(path, role, "otlp-json", **_counts(recording, options.traces)))
        _tell(files[-1])
    truth = incident.truth | {"measured": measure.comparison(before, during, incident.truth["entry_operation"])}
    entry = {
        "name": options.name,
        "title": "A checkout that became slow for enterprise customers",
        "description": "A small shop of nine services before and after a release of one of them, under the same load.",
        "licence": "MIT",
        "made": publish.made(options.command, options.seed, SDK, recorded_at),
        "files": files,
        "truth": {"incident": incident.name, "summary": incident.title} | truth,
    }
    publish.enter(options.out / "index.json", entry)


def _check_quiet(before: list[str], during: list[str], incident: Incident) -> None:
    """Refuse a pair of recordings that differ by more than the incident: the machine had something else to do."""
    change = measure.disturbance(before, during, incident.truth["entry_operation"], incident.truth["affected"]["value"])
    print(f"customers without the incident waited {change:+.1%} in the second recording")
    if abs(change) > QUIET:
        raise RuntimeError(
            f"expected at most {QUIET:.0%} of change for customers without the incident, found {change:+.1%}: "
            "something else ran on this machine; record again when it is idle"
        )


def _warmup(options: Options) -> list[Planned]:
    """Return the requests before the recording."""
    return plan(options.seed, options.warmup, options.rate, "w")


def _counts(recording: Recording, asked: int) -> dict[str, int]:
    """Return the numbers of spans and traces; a recording that lost a trace is none."""
    found = list(measure.spans(recording.lines))
    traces = len({span["traceId"] for span in found})
    if traces != asked or sum(recording.statuses.values()) != asked:
        raise RuntimeError(f"expected {asked} traces, found {traces}; customers were answered {recording.statuses}")
    return {"span_count": len(found), "trace_count": traces}


def record_sampled(options: Options) -> None:
    """Record the shop once, keep what three samplers would have kept, and enter the dataset."""
    recorded_at = datetime.now(UTC).isoformat(timespec="seconds")
    load = one_after_another(options.seed, tail_sampled.phases(options.traces, options.rate))
    recording = record(THREE_RELEASES, seed=options.seed, warmup=_warmup(options), load=load)
    _counts(recording, options.traces)
    files, measured = tail_sampled.write(options.out / options.name, recording)
    entry = {
        "name": options.name,
        "title": "All traces of a shop, and what three samplers keep of them",
        "description": "A quiet night and a busy day of a small shop of nine services, recorded whole; the same "
        "traces through a head sampler, a collector's tail policies and an X-Ray rule, decided afterwards as pure "
        "functions of the recording; the access log.",
        "licence": "MIT",
        "made": publish.made(options.command, options.seed, SDK, recorded_at),
        "files": files,
        "truth": {"summary": THREE_RELEASES.title} | THREE_RELEASES.truth | {"measured": measured},
    }
    publish.enter(options.out / "index.json", entry)
    for file in files:
        _tell(file)


def record_xray(options: Options) -> None:
    """Record the shop through the X-Ray SDK and enter the dataset."""
    import xray  # noqa: PLC0415 - patches botocore, and needs the test extra

    recorded_at = datetime.now(UTC).isoformat(timespec="seconds")
    lines = xray.record(seed=options.seed, traces=options.traces, rate=options.rate, warmup=options.warmup)
    path = options.out / options.name / "traces.jsonl.zst"
    publish.write(path, lines)
    span_count, trace_count = xray.counts(lines)
    counts = {"span_count": span_count, "trace_count": trace_count}
    file = publish.file_entry(path, "traces", "xray-batch-get-traces", **counts)
    entry = {
        "name": options.name,
        "title": "The shop through the eyes of AWS X-Ray",
        "description": "Segment documents of the X-Ray SDK, wrapped as answers of BatchGetTraces, five traces each.",
        "licence": "MIT",
        "made": publish.made(options.command, options.seed, XRAY_SDK, recorded_at),
        "files": [file],
        "truth": xray.truth(lines),
    }
    publish.enter(options.out / "index.json", entry)
    _tell(file)


OTHERS = {"checkout-xray": (record_xray, 200, 10.0), tail_sampled.NAME: (record_sampled, 5000, 27.0)}
"""What is no pair before and during an incident: how it is recorded, and how many traces at how many a second."""


def _tell(file: dict[str, Any]) -> None:
    """Print what was written."""
    held = f"{file['trace_count']} traces, {file['span_count']} spans, " if "trace_count" in file else ""
    print(f"{file['path']}: {held}{file['bytes']:,} bytes")


def main() -> None:
    """Read the command line and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=[*RECORDINGS, *OTHERS])
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--traces", type=int, help="default: 1000 a recording, 200 with X-Ray, 5000 for the samplers")
    parser.add_argument("--rate", type=float, help="requests a second; default: 10, 27 by day for the samplers")
    parser.add_argument("--warmup", type=int, default=150, help="requests before the recording starts")
    parser.add_argument("--out", type=Path, default=publish.DATASETS, help="folder of the index and the datasets")
    given = parser.parse_args()
    run, traces, rate = OTHERS.get(given.name, (record_incident, 1000, 10.0))
    traces, rate = given.traces or traces, given.rate or rate
    run(Options(given.name, given.seed, traces, rate, given.warmup, given.out.resolve()))


if __name__ == "__main__":
    main()
