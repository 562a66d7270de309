"""Step 7: lost spans in the logs of collectors and X-Ray daemons."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict, deque
from datetime import UTC, datetime
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tracekit.aws.audit.answers import LOGS
from tracekit.aws.reader import Answer
from tracekit.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FILTER = "logs:FilterLogEvents"
PATTERN = (
    "?Dropping ?dropped ?Rejecting ?refused ?Refusing ?Throttling ?ThrottlingException ?429 ?ResourceExhausted"
    ' ?"Rate exceeded" ?"queue is full" ?AccessDenied ?AccessDeniedException ?UnrecognizedClientException'
    " ?InvalidSignatureException ?ExpiredTokenException ?NoCredentialProviders ?Unprocessed"
    ' ?"segment batch failed"'
)
"""The CloudWatch Logs filter pattern: a superset of the lines that count as lost spans."""
_KINDS = {  # the first match classifies a line
    "queue full": re.compile(r"queue is full", re.IGNORECASE),
    "refused": re.compile(r"data refused|refusing data|refused_(spans|items)\W{1,3}[1-9]", re.IGNORECASE),
    "denied": re.compile(
        r"AccessDenied|UnrecognizedClient|InvalidSignature|ExpiredToken|NoCredentialProviders"
        r"|status code: 403|HTTP Status Code 403|PermissionDenied"
    ),
    "throttled": re.compile(
        r"Throttling|ThrottledException|Rate exceeded|TooManyRequests|status code: 429|HTTP Status Code 429"
        r"|ResourceExhausted|SpanLimitExceeded"
    ),
    "dropped": re.compile(
        r"dropping data|rejecting data|segment dropped|no more retries left|[1-9]\d* unprocessed segment"
        r"|dropped_(items|spans|segments)\W{1,3}[1-9]|segment batch failed",
        re.IGNORECASE,
    ),
}
_OTHERS = re.compile(r'"(?:data_type|otelcol\.signal)"\s*:\s*"(?:logs|metrics|profiles)"')
_ITEMS = re.compile(
    r'(?:dropped|rejected)_(?:items|spans)"?\s*[:=]\s*(\d+)|had (\d+) unprocessed segment', re.IGNORECASE
)
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?")
_SECOND = re.compile(r'"(?:ts|timestamp)"\s*:\s*(\d{10}(?:\.\d+)?)')
_SECRET = re.compile(r"(?i)((?:authorization|token|secret|password|api[-_]?key|signature)\"?\s*[:=]\s*\"?)[^\s\",}]+")
_LONGEST, _MOST = 300, 1_000


class SpanLoss(NamedTuple):
    """A log line about lost spans; ``at`` in seconds since the epoch."""

    kind: str
    at: float | None
    span_count: int


def span_loss(line: str, at: float | None = None) -> SpanLoss | None:
    """Return the lost spans that a log line reports, or None if it reports none, or logs and metrics.

    Source: messages of the collector's exporterhelper and memory limiter, and of aws-xray-daemon.  A failure that the
    collector retries is not a loss, unless it was throttled or denied.
    """
    kind = next((name for name, words in _KINDS.items() if words.search(line)), None)
    if kind is None or _OTHERS.search(line):
        return None
    items = _ITEMS.search(line)
    return SpanLoss(kind, _when(line) if at is None else at, int(items[1] or items[2]) if items else 0)


def _when(line: str) -> float | None:
    """Return the time in a log line, in seconds since the epoch."""
    if second := _SECOND.search(line):
        return float(second[1])
    date = _DATE.search(line)
    if date is None:
        return None
    moment = datetime.fromisoformat(date[0])
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def read_logs(files: Iterable[str | Path]) -> list[Answer]:
    """Read collector logs, reduced to the number of lines and the lines about lost spans."""
    return [_read(Path(file)) for file in files]


def _read(file: Path) -> Answer:
    """Return the content of one file."""
    expected = "expected a collector log, raw or printed by `aws logs filter-log-events`"
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            content = log_content(_lines(lines))
        at = datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat(timespec="seconds")
    except OSError as error:
        raise LoadError(f"{expected}, found no file {file}: {error.strerror}", source=str(file)) from error
    if not content["line_count"]:
        raise LoadError(f"{expected}, found an empty file {file}; save it again", source=str(file))
    who = file.stem.removeprefix("collector").removeprefix("-")
    return Answer(LOGS, {"collector": who}, content, at)


def _lines(lines: Iterable[str]) -> Iterator[tuple[str, float | None]]:
    """Yield the lines of a log, or the events of a CloudWatch Logs answer, with their times."""
    stream = iter(lines)
    for line in stream:
        if line.strip() in {"{", "["}:  # printed over many lines
            yield from _events(line + "".join(stream))
        elif line.lstrip().startswith(('{"events"', '{"results"')):
            yield from _events(line)
        elif line.strip():
            yield line, None


def _events(text: str) -> Iterator[tuple[str, float | None]]:
    """Yield the events of a CloudWatch Logs answer, or the lines of another text."""
    try:
        found = json.loads(text)
        rows = found if isinstance(found, list) else found.get("events") or found.get("results") or []
        for row in rows:
            cells = {cell["field"]: cell.get("value") for cell in row} if isinstance(row, list) else row
            message = cells.get("message") or cells.get("@message") or json.dumps(cells)
            stamp = cells.get("timestamp")
            yield str(message), stamp / 1e3 if isinstance(stamp, (int, float)) else _when(str(cells.get("@timestamp")))
    except (ValueError, KeyError, TypeError, AttributeError):
        yield from ((line, None) for line in text.splitlines())


def log_content(lines: Iterable[tuple[str, float | None]]) -> dict[str, Any]:
    """Return the number of lines of a log, and the last 1,000 lines of each kind of loss."""
    kept: defaultdict[str, deque[tuple[int, dict[str, Any]]]] = defaultdict(lambda: deque(maxlen=_MOST))
    seen: Counter[str] = Counter()
    count = 0
    for count, (line, at) in enumerate(lines, 1):
        found = span_loss(line, at)
        if found is None:
            continue
        seen[found.kind] += 1
        stamp = None if found.at is None else round(1e3 * found.at)
        event = {"timestamp": stamp, "message": _SECRET.sub(r"\1***", line.strip())[:_LONGEST]}
        kept[found.kind].append((count, event))
    more = {kind: number - _MOST for kind, number in seen.items() if number > _MOST}
    events = [event for _, event in sorted(chain.from_iterable(kept.values()), key=itemgetter(0))]
    return {"line_count": count, "events": events, **({"more": more} if more else {})}
