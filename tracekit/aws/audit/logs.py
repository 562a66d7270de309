"""Step 7: what collectors and X-Ray daemons say in their own logs about spans that they lost."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict, deque
from datetime import UTC, datetime
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tracekit.aws.audit.answers import LOGS, Answer
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
"""What CloudWatch Logs is asked to look for: more than is told of, and never less."""
_KINDS = {  # the first that fits is what a line is about
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


class Trouble(NamedTuple):
    """A line of a log that tells of lost spans."""

    kind: str
    at: float | None
    span_count: int


def trouble(line: str, at: float | None = None) -> Trouble | None:
    """Return what a line of a log tells of lost spans; None where it tells of none, or of logs and metrics.

    Source: the messages of the collector's exporterhelper and memory limiter, and of aws-xray-daemon.  A failure that
    the collector says it will try again is none, unless it was throttled or denied.
    """
    kind = next((name for name, words in _KINDS.items() if words.search(line)), None)
    if kind is None or _OTHERS.search(line):
        return None
    items = _ITEMS.search(line)
    return Trouble(kind, _when(line) if at is None else at, int(items[1] or items[2]) if items else 0)


def _when(line: str) -> float | None:
    """Return when a line says that it was written."""
    if second := _SECOND.search(line):
        return float(second[1])
    date = _DATE.search(line)
    if date is None:
        return None
    moment = datetime.fromisoformat(date[0])
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def read_logs(files: Iterable[str | Path]) -> list[Answer]:
    r"""Read logs of collectors: how many lines there are, and those that tell of lost spans."""
    return [_read(Path(file)) for file in files]


def _read(file: Path) -> Answer:
    """Return the content of one file."""
    expected = "expected lines of a collector's log, as it wrote them or as `aws logs filter-log-events` printed them"
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            content = told(_lines(lines))
        at = datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat(timespec="seconds")
    except OSError as error:
        raise LoadError(f"{expected}, found no file {file}: {error.strerror}", source=str(file)) from error
    if not content["line_count"]:
        raise LoadError(f"{expected}, found nothing in {file}; save it again", source=str(file))
    who = file.stem.removeprefix("collector").removeprefix("-")
    return Answer(LOGS, {"collector": who}, content, at)


def _lines(lines: Iterable[str]) -> Iterator[tuple[str, float | None]]:
    """Yield the lines of a log with their times, of an answer of CloudWatch Logs those of its events."""
    stream = iter(lines)
    for line in stream:
        if line.strip() in {"{", "["}:  # printed over many lines
            yield from _events(line + "".join(stream))
        elif line.lstrip().startswith(('{"events"', '{"results"')):
            yield from _events(line)
        elif line.strip():
            yield line, None


def _events(text: str) -> Iterator[tuple[str, float | None]]:
    """Yield the events of an answer of CloudWatch Logs; of another text its lines."""
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


def told(lines: Iterable[tuple[str, float | None]]) -> dict[str, Any]:
    """Return what is kept of a log: how many lines it had, and the last thousand of every kind that tell of trouble."""
    kept: defaultdict[str, deque[tuple[int, dict[str, Any]]]] = defaultdict(lambda: deque(maxlen=_MOST))
    seen: Counter[str] = Counter()
    count = 0
    for count, (line, at) in enumerate(lines, 1):
        found = trouble(line, at)
        if found is None:
            continue
        seen[found.kind] += 1
        stamp = None if found.at is None else round(1e3 * found.at)
        event = {"timestamp": stamp, "message": _SECRET.sub(r"\1***", line.strip())[:_LONGEST]}
        kept[found.kind].append((count, event))
    more = {kind: number - _MOST for kind, number in seen.items() if number > _MOST}
    events = [event for _, event in sorted(chain.from_iterable(kept.values()), key=itemgetter(0))]
    return {"line_count": count, "events": events, **({"more": more} if more else {})}
