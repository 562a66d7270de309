"""Record a dataset: ``python datasets/record/shop.py checkout-regression`` or ``... checkout-xray``."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import measure
import publish
from incidents import HEALTHY, INCIDENTS, Incident
from recording import Recording, record

SDK = ["opentelemetry-sdk", "opentelemetry-exporter-otlp-json-file", "opentelemetry-semantic-conventions"]
XRAY_SDK = ["aws-xray-sdk", "boto3", "moto"]
RECORDINGS = {"checkout-regression": "slow-ledger"}
XRAY = "checkout-xray"
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
    recordings = {
        role: record(state, seed=options.seed, traces=options.traces, rate=options.rate, warmup=options.warmup)
        for role, state in (("baseline", HEALTHY), ("during", incident))
    }
    before, during = (recording.lines for recording in recordings.values())
    _check_quiet(before, during, incident)
    files = []
    for role, recording in recordings.items():
        path = options.out / options.name / f"{role}.jsonl.zst"
        publish.write(path, recording.lines)
        files.append(publish.file_entry(path, role, "otlp-json", *_counts(recording, options.traces)))
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


def _counts(recording: Recording, asked: int) -> tuple[int, int]:
    """Return the numbers of spans and traces; a recording that lost a trace is none."""
    found = list(measure.spans(recording.lines))
    traces = len({span["traceId"] for span in found})
    if traces != asked or sum(recording.statuses.values()) != asked:
        raise RuntimeError(f"expected {asked} traces, found {traces}; customers were answered {recording.statuses}")
    return len(found), traces


def record_xray(options: Options) -> None:
    """Record the shop through the X-Ray SDK and enter the dataset."""
    import xray  # noqa: PLC0415 - patches botocore, and needs the test extra

    recorded_at = datetime.now(UTC).isoformat(timespec="seconds")
    lines = xray.record(seed=options.seed, traces=options.traces, rate=options.rate, warmup=options.warmup)
    path = options.out / options.name / "traces.jsonl.zst"
    publish.write(path, lines)
    file = publish.file_entry(path, "traces", "xray-batch-get-traces", *xray.counts(lines))
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


def _tell(file: dict[str, Any]) -> None:
    """Print what was written."""
    print(f"{file['path']}: {file['trace_count']} traces, {file['span_count']} spans, {file['bytes']:,} bytes")


def main() -> None:
    """Read the command line and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=[*RECORDINGS, XRAY])
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--traces", type=int, help="default: 1000 a recording, 200 with X-Ray")
    parser.add_argument("--rate", type=float, default=10, help="requests a second")
    parser.add_argument("--warmup", type=int, default=150, help="requests before the recording starts")
    parser.add_argument("--out", type=Path, default=publish.DATASETS, help="folder of the index and the datasets")
    given = parser.parse_args()
    traces = given.traces or (200 if given.name == XRAY else 1000)
    options = Options(given.name, given.seed, traces, given.rate, given.warmup, given.out.resolve())
    (record_xray if options.name == XRAY else record_incident)(options)


if __name__ == "__main__":
    main()
