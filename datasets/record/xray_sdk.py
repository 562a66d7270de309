"""Use of the X-Ray SDK: segments for requests, subsegments for their parts, propagation."""

from __future__ import annotations

import logging
import sqlite3
import time
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from aws_xray_sdk.core import patch, xray_recorder
from aws_xray_sdk.core.models.trace_header import TraceHeader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Answer = TypeVar("Answer")
HEADER = "X-Amzn-Trace-Id"
WORKING_DIRECTORY = "/srv/shop"  # simulated installation folder, so that the data has no path of the recording machine
ROUND_TRIP_S = 0.0006


def configure(daemon_address: str) -> None:
    """Send everything to a daemon; calls outside a segment, such as polling a queue, are not traced."""
    logging.getLogger("aws_xray_sdk").setLevel(logging.ERROR)
    xray_recorder.configure(
        service="shop", sampling=False, context_missing="IGNORE_ERROR", daemon_address=daemon_address
    )
    patch(["botocore"])


@contextmanager
def segment(service: str, version: str, header: str, *, sampled: bool) -> Iterator[Any]:
    """Open the segment of one request at one service, continuing the caller's trace."""
    caller = TraceHeader.from_header_str(header)
    decision = caller.sampled if caller.sampled is not None else int(sampled)
    opened = xray_recorder.begin_segment(service, caller.root, caller.parent, sampling=decision)
    if opened.sampled:
        opened.set_service({**opened.service, "version": version})
    try:
        yield opened
    finally:
        xray_recorder.end_segment()


@contextmanager
def subsegment(name: str, namespace: str = "local") -> Iterator[Any]:
    """Open a subsegment; an exception that leaves it is recorded on it."""
    opened = xray_recorder.begin_subsegment(name, namespace)
    try:
        yield opened
    except Exception as error:
        blame(opened, error)
        raise
    finally:
        xray_recorder.end_subsegment()


def blame(entity: Any, error: Exception) -> None:
    """Record an exception; the second entity it passes through gets the SDK's reference to the first."""
    entity.add_exception(error, traceback.extract_tb(error.__traceback__))
    if isinstance(entity.cause, dict) and entity.cause:
        entity.cause["working_directory"] = WORKING_DIRECTORY


def query(connection: sqlite3.Connection, database: str, text: str, *values: object) -> list[tuple[Any, ...]]:
    """Run a statement in a remote subsegment with the ``sql`` block, after a simulated round trip."""
    with subsegment(f"{database}@db.shop.internal", "remote") as opened:
        opened.set_sql(
            {
                "url": f"sqlite://db.shop.internal/{database}",
                "database_type": "SQLite",
                "database_version": sqlite3.sqlite_version,
                "user": "shop",
                "preparation": "statement",
                "sanitized_query": text,
            }
        )
        time.sleep(ROUND_TRIP_S)
        return connection.execute(text, values).fetchall()


def header_of(entity: Any) -> str:
    """Return the trace header with an entity as the parent."""
    return str(TraceHeader(root=entity.trace_id, parent=entity.id, sampled=entity.sampled).to_header_str())


def carried(work: Callable[[], Answer]) -> Callable[[], Answer]:
    """Return a function that runs under the current entity in any thread."""
    entity = xray_recorder.get_trace_entity()

    def run() -> Answer:
        xray_recorder.set_trace_entity(entity)
        try:
            return work()
        finally:
            xray_recorder.clear_trace_entities()

    return run
