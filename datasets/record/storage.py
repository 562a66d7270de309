"""SQLite with traced statements: the databases are real files, and every statement is a CLIENT span."""

from __future__ import annotations

import queue
import random
import sqlite3
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from faults import fault_at
from opentelemetry.trace import SpanKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from web import Call, Service

CONNECTIONS = 6
ROUND_TRIP_MS = 1.2


class Statement(NamedTuple):
    """One statement and the attributes of its span."""

    operation: str
    collection: str
    text: str


class Database:
    """A service's database: a SQLite file with a pool of connections.

    Each statement first waits for the round trip of a database server (median 1.2 ms), because the file is local.

    Parameters
    ----------
    service
        Name of the service, which is also the name of the database.
    script
        Statements that create the tables.
    rows
        ``INSERT`` statements with the initial rows.
    connections
        Size of the pool.
    """

    def __init__(
        self,
        service: Service,
        script: str,
        rows: dict[str, Iterable[tuple[Any, ...]]],
        connections: int = CONNECTIONS,
    ) -> None:
        self.namespace = service.name
        self.round_trip = random.Random(f"{service.shop.seed}/{service.name}")
        path = service.shop.folder / f"{service.name}.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(f"PRAGMA journal_mode=WAL; {script}")
            for insert, values in rows.items():
                connection.executemany(insert, values)
            connection.commit()
        self.path = path
        self.pool: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        for _ in range(connections):
            self.pool.put(self.connect())

    def connect(self) -> sqlite3.Connection:
        """Return a new connection, outside of the pool."""
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous=OFF")
        return connection

    @contextmanager
    def held(self, timeout_s: float) -> Iterator[sqlite3.Connection]:
        """Keep a connection of the pool for a block of work; raise ``queue.Empty`` if none is free in time."""
        connection = self.pool.get(timeout=timeout_s)
        try:
            yield connection
        finally:
            self.pool.put(connection)

    def run(
        self, call: Call, statement: Statement, *values: object, held: sqlite3.Connection | None = None
    ) -> list[tuple[Any, ...]]:
        """Run a statement in a CLIENT span and return its rows, with a connection of the pool or one already held."""
        again = fault_at(call, "repeated statements") if statement.operation == "SELECT" else 0
        for _ in range(1, again):
            self._run(call, statement, values, held)
        return self._run(call, statement, values, held)

    def _run(
        self, call: Call, statement: Statement, values: tuple[object, ...], held: sqlite3.Connection | None
    ) -> list[tuple[Any, ...]]:
        """Run a statement once."""
        attributes = {
            "db.system.name": "sqlite",
            "db.namespace": self.namespace,
            "db.operation.name": statement.operation,
            "db.collection.name": statement.collection,
            "db.query.text": statement.text,
        }
        with call.span(f"{statement.operation} {statement.collection}", SpanKind.CLIENT, attributes) as span:
            time.sleep(ROUND_TRIP_MS / 1e3 * self.round_trip.lognormvariate(0, 0.25))
            if delay_ms := fault_at(call, "slow statements"):
                call.wait(f"statement {statement.collection}", delay_ms)
            connection = held or self.pool.get()
            try:
                rows = connection.execute(statement.text, values).fetchall()
            finally:
                if held is None:
                    self.pool.put(connection)
            if statement.operation == "SELECT":
                span.set_attribute("db.response.returned_rows", len(rows))
        return rows
