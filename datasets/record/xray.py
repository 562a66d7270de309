"""A recording with the X-Ray SDK: a simulated daemon, and BatchGetTraces responses from the documents it received."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Self

from load import drive, plan
from xray_shop import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = {"checkout": 0.5, "view": 0.38, "order": 0.12}
TRACES_AN_ANSWER = 5
DATAGRAM = 65_536
QUIET_S = 1.5


class Daemon:
    """A simulated X-Ray daemon: a UDP socket on loopback that keeps every document it receives."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(QUIET_S)
        self.documents: list[str] = []
        self.closing = threading.Event()
        self.thread = threading.Thread(target=self._receive)

    @property
    def address(self) -> str:
        """The address for the SDK."""
        host, port = self.socket.getsockname()
        return f"{host}:{port}"

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.thread.join()
        self.socket.close()

    def _receive(self) -> None:
        """Keep documents until the shop is closed and nothing more arrives."""
        while True:
            try:
                header, document = self.socket.recv(DATAGRAM).decode().split("\n", 1)
            except TimeoutError:
                if self.closing.is_set():
                    return
                continue
            assert json.loads(header) == {"format": "json", "version": 1}
            self.documents.append(document)


def record(*, seed: int, traces: int, rate: float, warmup: int) -> list[str]:
    """Run the shop with the requests of a seed and return BatchGetTraces responses, one per line."""
    with Daemon() as daemon, opened(daemon.address, seed) as port:
        drive(plan(seed, warmup, rate, "xw", KINDS), port, recorded=False)
        statuses = drive(plan(seed, traces, rate, "x", KINDS), port)
    lines = answers(daemon.documents)
    found = counts(lines)[1]
    if found != traces:
        raise RuntimeError(f"expected {traces} traces, found {found}; response statuses: {statuses}")
    return lines


def answers(documents: list[str]) -> list[str]:
    """Return documents as BatchGetTraces responses, five traces each, ordered by start."""
    by_trace: dict[str, list[tuple[dict[str, Any], str]]] = defaultdict(list)
    for document in documents:
        parsed = json.loads(document)
        by_trace[parsed["trace_id"]].append((parsed, document))
    traces = []
    for trace_id, segments in by_trace.items():
        start = min(parsed["start_time"] for parsed, _ in segments)
        end = max(parsed["end_time"] for parsed, _ in segments)
        entries = [{"Id": parsed["id"], "Document": document} for parsed, document in segments]
        traces.append((start, _trace(trace_id, round(end - start, 3), entries)))
    ordered = [trace for _, trace in sorted(traces, key=lambda one: one[0])]
    groups = [ordered[first : first + TRACES_AN_ANSWER] for first in range(0, len(ordered), TRACES_AN_ANSWER)]
    return [json.dumps({"Traces": group, "UnprocessedTraceIds": []}, separators=(",", ":")) for group in groups]


def _trace(trace_id: str, duration: float, segments: list[dict[str, str]]) -> dict[str, Any]:
    """Return one trace as BatchGetTraces does."""
    return {"Id": trace_id, "Duration": duration, "LimitExceeded": False, "Segments": segments}


def parts(lines: list[str]) -> Iterator[dict[str, Any]]:
    """Yield every segment and subsegment of BatchGetTraces responses."""
    for line in lines:
        for trace in json.loads(line)["Traces"]:
            waiting = [json.loads(segment["Document"]) for segment in trace["Segments"]]
            while waiting:
                part = waiting.pop()
                waiting += part.get("subsegments", [])
                yield part


def counts(lines: list[str]) -> tuple[int, int]:
    """Return the numbers of segments with subsegments, and of traces."""
    return sum(1 for _ in parts(lines)), sum(len(json.loads(line)["Traces"]) for line in lines)


def truth(lines: list[str]) -> dict[str, Any]:
    """Return the counts of the content of the recording."""
    found: Counter[str] = Counter()
    for part in parts(lines):
        found.update(
            flag for flag in ("error", "fault", "throttle", "sql", "annotations", "metadata", "cause") if flag in part
        )
        found[f"namespace {part['namespace']}" if "namespace" in part else _kind(part)] += 1
    return {
        "summary": "no incident; low background rate of faults, throttling and client errors",
        "services": sorted({part["name"] for part in parts(lines) if part.get("type") != "subsegment"}),
        "counted": dict(sorted(found.items())),
    }


def _kind(part: dict[str, Any]) -> str:
    """Return whether a part without a namespace is a segment or a local subsegment."""
    return "local subsegment" if part.get("type") == "subsegment" else "segment"
