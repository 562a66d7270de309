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
RECORDINGS = {
    "checkout-regression": ("slow-ledger", "Checkout latency regression for enterprise customers"),
    "cold-start": ("cold-ledger", "Cold starts of a function after its release in one zone"),
    "cascading-failure": ("exhausted-inventory", "Connections that run out in one zone, and the callers that fail"),
    "n-plus-one-cost": ("query-per-item", "One query for each item after a release in one zone"),
    "retry-storm": ("naive-retries", "Retries without a pause after a release in one zone"),
}
QUIET = 0.03


@dataclass(frozen=True)
class Options:
    """The options of the command line."""

    name: str
    seed: int
    traces: int
    rate: float
    warmup: int
    out: Path

    @property
    def command(self) -> str:
        """The command that repeats the recording."""
        return (
            f"python datasets/record/shop.py {self.name} --seed {self.seed} --traces {self.traces}"
            f" --rate {self.rate:g} --warmup {self.warmup}"
        )


def record_incident(options: Options) -> None:
    """Record the shop before and during an incident, with the same requests, and add the dataset to the index."""
    name, title = RECORDINGS[options.name]
    incident = INCIDENTS[name]
    zoned = incident.deployment.service if incident.deployment else ""
    recorded_at = datetime.now(UTC).isoformat(timespec="seconds")
    load = plan(options.seed, options.traces, options.rate)
    recordings = {
        role: record(state, seed=options.seed, warmup=_warmup(options), load=load, zoned=zoned)
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
        "title": title,
        "description": "Demo shop of nine services before and after a release of one of them, with the same requests.",
        "licence": "MIT",
        "made": publish.made(options.command, options.seed, SDK, recorded_at),
        "files": files,
        "truth": {"incident": incident.name, "summary": incident.title} | truth,
    }
    if (onset_ns := recordings["during"].deployed_ns) is not None:
        entry["truth"] |= {"onset_time_ns": onset_ns}
    publish.enter(options.out / "index.json", entry)


def _check_quiet(before: list[str], during: list[str], incident: Incident) -> None:
    """Raise if the recordings differ by more than the incident, because other programs were running."""
    measured = measure.disturbance_by_zone if incident.deployment else measure.disturbance
    change = measured(before, during, incident.truth["entry_operation"], incident.truth["affected"]["value"])
    print(f"change in latency of unaffected customers: {change:+.1%}")
    if abs(change) > QUIET:
        raise RuntimeError(
            f"expected at most {QUIET:.0%} change in latency of unaffected customers, found {change:+.1%}: "
            "other programs were running; record again on an idle machine"
        )


def _warmup(options: Options) -> list[Planned]:
    """Return the requests before the recording."""
    return plan(options.seed, options.warmup, options.rate, "w")


def _counts(recording: Recording, asked: int) -> dict[str, int]:
    """Return the numbers of spans and traces; raise if a trace is missing."""
    found = list(measure.spans(recording.lines))
    traces = len({span["traceId"] for span in found})
    if traces != asked or sum(recording.statuses.values()) != asked:
        raise RuntimeError(f"expected {asked} traces, found {traces}; response statuses: {recording.statuses}")
    return {"span_count": len(found), "trace_count": traces}


def record_sampled(options: Options) -> None:
    """Record the shop once, apply three samplers, and add the dataset to the index."""
    recorded_at = datetime.now(UTC).isoformat(timespec="seconds")
    load = one_after_another(options.seed, tail_sampled.phases(options.traces, options.rate))
    recording = record(THREE_RELEASES, seed=options.seed, warmup=_warmup(options), load=load)
    _counts(recording, options.traces)
    files, measured = tail_sampled.write(options.out / options.name, recording)
    entry = {
        "name": options.name,
        "title": "All traces of a demo shop, and the traces that three samplers keep",
        "description": "A quiet night and a busy day of a demo shop of nine services: all traces, the traces kept by a "
        "head sampler, by the tail-sampling policies of a collector and by an X-Ray rule (applied afterwards to the "
        "same traces), and the access log.",
        "licence": "MIT",
        "made": publish.made(options.command, options.seed, SDK, recorded_at),
        "files": files,
        "truth": {"summary": THREE_RELEASES.title} | THREE_RELEASES.truth | {"measured": measured},
    }
    publish.enter(options.out / "index.json", entry)
    for file in files:
        _tell(file)


def record_xray(options: Options) -> None:
    """Record the shop with the X-Ray SDK and add the dataset to the index."""
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
        "title": "Demo shop, recorded with AWS X-Ray",
        "description": "Segment documents of the X-Ray SDK as BatchGetTraces responses, five traces each.",
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
