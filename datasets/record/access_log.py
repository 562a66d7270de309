"""The access log of the storefront: one line per request, whether its trace is sampled or not.

The format is that of an AWS Application Load Balancer, which logs the trace id of every request.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from opentelemetry.trace import SpanContext

ACCESS_LOG = "access.log"
GROUP = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/storefront/0c0ffee0c0ffee00"


class AccessLog:
    """The log lines of one service, kept in memory until it stops, like its spans.

    Parameters
    ----------
    path
        File to write them to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[str] = []

    def note(self, trace: SpanContext, began_s: float, headers: Mapping[str, str], request: str, status: int) -> None:
        """Add a request that has just completed; unrecorded warm-up requests are excluded."""
        if trace.trace_flags.sampled:
            self.lines.append(_line(f"{trace.trace_id:032x}", began_s, headers, request, status))

    def write(self) -> None:
        """Write the lines."""
        self.path.write_text("".join(f"{line}\n" for line in self.lines), encoding="utf-8")


def _line(trace_id: str, began_s: float, headers: Mapping[str, str], request: str, status: int) -> str:
    """Return one entry; only times, statuses, request and trace id vary."""
    ended = datetime.now(UTC)
    method, _, path = request.partition(" ")
    cells = [
        f"https {_stamp(ended)} app/shop/50dc6c495c0c9188 203.0.113.7:2817 10.0.0.1:80",
        f"0.000 {ended.timestamp() - began_s:.6f} 0.000 {status} {status} 0 0",
        f'"{method} https://{headers["host"]}:443{path} HTTP/1.1" "{headers["user-agent"]}"',
        f'ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 {GROUP} "Root=1-{trace_id[:8]}-{trace_id[8:]}"',
        f'"{headers["host"]}" "-" 0 {_stamp(datetime.fromtimestamp(began_s, UTC))} "forward" "-" "-"',
    ]
    return " ".join(cells)


def _stamp(moment: datetime) -> str:
    """Return a time in the format of load balancers."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def read(folder: Path) -> list[str]:
    """Return the log of a run, ordered by response time."""
    lines = (folder / ACCESS_LOG).read_text(encoding="utf-8").splitlines()
    return sorted(lines, key=lambda line: line.split(" ", 2)[1])
