"""What a request of traces contains: whether it can be read, how many spans are rejected, and counts of the others.

A body is read by the same readers as a file, alone and behind the first bytes of the spool, so that the answer to the
exporter agrees with what ``read`` will report of the spooled bodies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracekit.errors import LoadError
from tracekit.loading.building.builder import Builder
from tracekit.loading.opening.source import from_bytes
from tracekit.loading.otlp.loader import LOADER
from tracekit.loading.progress import Meter
from tracekit.loading.protobuf.recognise import GROUP
from tracekit.loading.protobuf.wire import LENGTH, DamageError, fields
from tracekit.loading.reading import SourceReader
from tracekit.receiver.answers import PROTOBUF, RefusedError

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.loading.building.ledger import Issue, Ledger

HEADS = {  # of the spools: an empty ScopeSpans or list, after which any valid body is recognised as OTLP
    PROTOBUF: b"\x0a\x02\x12\x00",
    "application/json": b'{"resourceSpans":[]}\n',
}
MAX_GROUPS = 65_536
_ERROR = 2  # status code
_UNREADABLE = ("PROTOBUF_", "JSON_", "FORMAT_", "SIGNAL_", "API_")


@dataclass(frozen=True)
class Intake:
    """A request that can be read, at least in part.

    Parameters
    ----------
    data
        What is added to the spool.
    span_count, error_count
        Spans, and those with an error status.
    rejected_count, message
        Spans that cannot be read, and why, for the answer.
    trace_keys
        The lower half of the distinct trace ids: enough to count them.
    service_names
        Of the resources.
    """

    data: bytes
    span_count: int
    error_count: int
    rejected_count: int
    message: str
    trace_keys: Array
    service_names: frozenset[str]


def take(body: bytes, content_type: str) -> Intake:
    """Return what is in a body; raise RefusedError if it is not a request of traces."""
    data = _protobuf(body) if content_type == PROTOBUF else _json(body)
    builder = Builder()
    reader = SourceReader(builder, (LOADER,), Meter(None, show=False))
    try:
        reader.read(from_bytes(HEADS[content_type] + data))
    except LoadError as error:
        raise _not_traces(next(map(_reason, builder.ledger.issues), str(error))) from error
    ledger = builder.ledger
    _check(ledger)
    spans = builder.take_columns().spans
    return Intake(
        data,
        len(spans),
        int(np.count_nonzero(spans.status_code == _ERROR)),
        ledger.quarantined,
        next((_reason(issue) for issue in ledger.issues if issue.action == "quarantined"), ""),
        np.unique(spans.trace_lo),
        _service_names(builder, spans.resource),
    )


def _not_traces(found: str) -> RefusedError:
    return RefusedError(400, f"expected an ExportTraceServiceRequest; {found}", closes=False)


def _reason(issue: Issue) -> str:
    """Return the message of an issue without its position, which counts the head."""
    return f"{issue.code}: {issue.message.partition(': ')[2]}"


def _protobuf(body: bytes) -> bytes:
    """Return the ResourceSpans of a request; other fields are of newer versions, and no reader knows them."""
    kept, count = [], 0
    try:
        for one in fields(body, 0, len(body)):
            count += 1
            if count > MAX_GROUPS:
                raise _not_traces(f"found more than {MAX_GROUPS:,} ResourceSpans; send smaller batches")
            if (one.number, one.wire) == (GROUP, LENGTH):
                kept.append(body[one.start : one.stop])
    except DamageError as damage:
        raise _not_traces(f"byte {damage.offset:,}: {damage.message}") from damage
    return b"".join(kept)


def _json(body: bytes) -> bytes:
    """Return a JSON object on one line; in JSON, a line break is never part of a value."""
    try:
        text = body.decode().strip()
    except UnicodeDecodeError as error:
        raise _not_traces(f"found bytes that are not UTF-8 at byte {error.start:,}") from error
    if not text.startswith("{") or "\0" in text:
        raise _not_traces(f"found {text[:40]!r}")
    if not text[1:-1].strip() and text.endswith("}"):
        return b""
    return text.replace("\n", " ").replace("\r", " ").encode() + b"\n"


def _check(ledger: Ledger) -> None:
    """Raise RefusedError if nothing of a body is a request of traces."""
    if ledger.accepted:
        return
    if ledger.skipped:
        raise _not_traces(f"found {', '.join(ledger.skipped)}")
    lost = next((issue for issue in ledger.issues if issue.code.startswith(_UNREADABLE)), None)
    if lost is not None:
        raise _not_traces(_reason(lost))


def _service_names(builder: Builder, resources: Array) -> frozenset[str]:
    """Return the service names of the resources of spans; the builder cannot be used any more."""
    _, owned = builder.resource_tables()
    kv, new_code = builder.attributes.table()
    codes = owned.codes[owned.positions(np.unique(resources[resources >= 0]))]
    named = np.intersect1d(codes if new_code is None else new_code[codes], kv.codes_of("service.name"))
    return frozenset(filter(None, kv.text.take(named).to_pylist()))
