"""The services of a purchase: checkout, ledger, payments, the mailer, and the untraced bank."""

from __future__ import annotations

import html
import json
import random
import time
from collections import deque
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

from load import ORDERS, customers
from messaging import consume, publish
from opentelemetry.trace import get_current_span
from storage import Database, Statement
from web import Call, RefusedError, Reply, Service, Shop, expect

if TYPE_CHECKING:
    import socket
    import sqlite3
    from collections.abc import Callable
    from multiprocessing import Queue

ACQUIRER = "api.acquirer.example"
PLACED = "orders.placed"
ATTEMPTS = 2
MANY_ATTEMPTS = 8
REFUSED = 0.6
KEEP_ALIVE_S = 0.2
BACKOFF_S = 0.025
ENTRIES = 90_000


class AcquirerUnavailableError(Exception):
    """The bank was unavailable."""


class Checkout(Service):
    """Turns a cart into an order."""

    name = "checkout"
    stable = "2.8.0"
    insert = Statement("INSERT", "orders", "INSERT OR REPLACE INTO orders VALUES (?, ?, ?)")
    by_id = Statement("SELECT", "orders", "SELECT id, customer_id, total_cents FROM orders WHERE id = ?")

    def __init__(self, shop: Shop, queue: Queue[dict[str, Any] | None]) -> None:
        super().__init__(shop)
        self.queue = queue
        script = "CREATE TABLE orders (id TEXT PRIMARY KEY, customer_id TEXT, total_cents INTEGER)"
        orders = [(f"o-{n:04}", "pro-001", 100 * n) for n in range(ORDERS)]
        self.database = Database(self, script, {self.insert.text: orders})

    def routes(self) -> dict[str, Callable[[Call], Reply]]:
        """Return the handlers."""
        return {"POST /v1/checkouts": self.buy, "GET /v1/orders/{order_id}": self.order}

    def buy(self, call: Call) -> Reply:
        """Read the cart, reserve and price it concurrently, authorize, charge, store the order, notify the mailer."""
        customer_id = call.body["customer_id"]
        items = expect(call.ask("cart", "GET /v1/carts/{customer_id}", customer_id=customer_id))["product_ids"]
        reserved, quote = call.together(
            lambda: call.ask("inventory", "POST /v1/reservations", body={"product_ids_json": json.dumps(items)}),
            lambda: call.ask("pricing", "POST /v1/quotes", body={"product_ids": items}),
        )
        expect(reserved)
        charge = {"customer_id": customer_id, "total_cents": expect(quote)["total_cents"]}
        expect(call.ask("ledger", "POST /v1/authorizations", body=charge))
        expect(self._charge(call, charge))
        order_id = f"o-{call.number}"
        self.database.run(call, self.insert, order_id, customer_id, charge["total_cents"])
        publish(call, self.queue, PLACED, {"order_id": order_id} | charge)
        return 201, {"order_id": order_id}

    def order(self, call: Call) -> Reply:
        """Return an order."""
        call.wait("archive", 6)
        rows = self.database.run(call, self.by_id, call.params["order_id"])
        if not rows:
            raise RefusedError(404, f"no order {call.params['order_id']}")
        return 200, {"order_id": rows[0][0], "total_cents": rows[0][2]}

    def _charge(self, call: Call, charge: dict[str, Any]) -> Reply:
        """Charge the customer, with one retry if payments is unavailable; version 2.9.0 does not retry."""
        reply = call.ask("payments", "POST /v1/charges", body=charge)
        for attempt in range(1, 1 if self.version == "2.9.0" else ATTEMPTS):
            if reply[0] != HTTPStatus.SERVICE_UNAVAILABLE:
                break
            time.sleep(BACKOFF_S)
            reply = call.ask("payments", "POST /v1/charges", body=charge, resend=attempt)
        return reply


class Environment(NamedTuple):
    """One execution environment of a function: its connection, and when it was last used."""

    connection: sqlite3.Connection
    idle_since_s: float


class Ledger(Service):
    """Spending limits.  Enterprise customers have cost centres, each with a budget."""

    name = "ledger"
    stable = "1.4.0"
    account = Statement("SELECT", "accounts", "SELECT limit_cents, cost_centres FROM accounts WHERE customer_id = ?")
    spent = Statement(
        "SELECT",
        "entries",
        "SELECT cost_centre, SUM(amount_cents) FROM entries WHERE customer_id = ? GROUP BY cost_centre",
    )
    spent_by_centre = Statement("SELECT", "entries", "SELECT SUM(amount_cents) FROM entries WHERE cost_centre = ?")
    insert = Statement(
        "INSERT", "authorizations", "INSERT INTO authorizations (customer_id, amount_cents) VALUES (?, ?)"
    )

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop)
        chance = random.Random(shop.seed)
        centres = {one.id: chance.randrange(20, 45) if one.tier == "enterprise" else 1 for one in customers()}
        weights = list(centres.values())
        owners = chance.choices(list(centres), weights, k=ENTRIES)
        entries = [(who, f"{who}/{chance.randrange(centres[who])}", chance.randrange(10_000)) for who in owners]
        script = (
            "CREATE TABLE accounts (customer_id TEXT PRIMARY KEY, limit_cents INTEGER, cost_centres INTEGER);"
            "CREATE TABLE entries (id INTEGER PRIMARY KEY, customer_id TEXT, cost_centre TEXT, amount_cents INTEGER);"
            "CREATE INDEX by_customer ON entries (customer_id, cost_centre, amount_cents);"
            "CREATE TABLE authorizations (id INTEGER PRIMARY KEY, customer_id TEXT, amount_cents INTEGER)"
        )
        rows: dict[str, Any] = {
            "INSERT INTO accounts VALUES (?, ?, ?)": [(who, 10**9, count) for who, count in centres.items()],
            "INSERT INTO entries (customer_id, cost_centre, amount_cents) VALUES (?, ?, ?)": entries,
        }
        self.database = Database(self, script, rows)
        self.environments: deque[Environment] = deque()  # those without a request, of version 1.6.0

    def routes(self) -> dict[str, Callable[[Call], Reply]]:
        """Return the handlers.  Version 1.6.0 runs as a function, in execution environments."""
        return {"POST /v1/authorizations": self.invoke if self.version == "1.6.0" else self.authorize}

    def invoke(self, call: Call) -> Reply:
        """Authorize in an idle environment, or in a new one if the last request of every other was too long ago."""
        while self.environments and time.monotonic() - self.environments[0].idle_since_s > KEEP_ALIVE_S:
            self._drop()
        environment = self._idle()
        get_current_span().set_attribute("faas.coldstart", environment is None)
        environment = environment or self._start(call)
        try:
            return self.authorize(call, environment.connection)
        finally:
            self.environments.append(environment._replace(idle_since_s=time.monotonic()))

    def _idle(self) -> Environment | None:
        """Take the environment whose last request was the latest."""
        with suppress(IndexError):  # another request took it
            return self.environments.pop()
        return None

    def _drop(self) -> None:
        """End the environment whose last request was the earliest."""
        with suppress(IndexError):  # another request took it
            self.environments.popleft().connection.close()

    def _start(self, call: Call) -> Environment:
        """Load the image, connect, and read all entries once."""
        with call.span("start environment"):
            call.wait("image", 70)
            connection = self.database.connect()
            connection.execute("SELECT SUM(amount_cents) FROM entries").fetchall()
            return Environment(connection, time.monotonic())

    def authorize(self, call: Call, held: sqlite3.Connection | None = None) -> Reply:
        """Allow a purchase if the customer's spending stays within the limit."""
        customer_id, amount = call.body["customer_id"], call.body["total_cents"]
        limit, centres = self.database.run(call, self.account, customer_id, held=held)[0]
        call.wait("rules", 4)
        if self._spent(call, customer_id, centres, held) + amount > limit:
            raise RefusedError(402, "over the limit")
        self.database.run(call, self.insert, customer_id, amount, held=held)
        return 201, {}

    def _spent(self, call: Call, customer_id: str, centres: int, held: sqlite3.Connection | None) -> int:
        """Return what the customer has spent.  Version 1.5.0 runs one query per cost centre."""
        if self.version == "1.5.0" and centres > 1:
            names = (f"{customer_id}/{n}" for n in range(centres))
            return sum(self.database.run(call, self.spent_by_centre, name)[0][0] or 0 for name in names)
        return sum(cents for _, cents in self.database.run(call, self.spent, customer_id, held=held))


class Payments(Service):
    """Charges cards at the bank."""

    name = "payments"
    stable = "3.1.2"
    insert = Statement("INSERT", "charges", "INSERT INTO charges (customer_id, amount_cents) VALUES (?, ?)")

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop)
        script = "CREATE TABLE charges (id INTEGER PRIMARY KEY, customer_id TEXT, amount_cents INTEGER)"
        self.database = Database(self, script, {})

    def routes(self) -> dict[str, Callable[[Call], Reply]]:
        """Return the handlers."""
        return {"POST /v1/charges": self.charge}

    def charge(self, call: Call) -> Reply:
        """Charge the card; respond with 503 if the bank is unavailable."""
        status = self._ask_bank(call)
        try:
            self._accept(status)
        except AcquirerUnavailableError as error:
            raise RefusedError(503, "payments unavailable") from error
        self.database.run(call, self.insert, call.body["customer_id"], call.body["total_cents"])
        return 201, {}

    def _ask_bank(self, call: Call) -> int:
        """Return the status of the bank; version 3.2.0 repeats what the bank refuses at once, without a pause."""
        body = {"number": call.number, "attempt": call.headers["x-attempt"], "cents": call.body["total_cents"]}
        if self.version != "3.2.0":
            return call.ask(ACQUIRER, "POST /charges", body=body)[0]
        status = 0
        for resend in range(MANY_ATTEMPTS):
            again = body | {"interface": 2, "resend": resend}
            status, _ = call.ask(ACQUIRER, "POST /charges", body=again, resend=resend)
            if status != HTTPStatus.SERVICE_UNAVAILABLE:
                break
        return status

    def _accept(self, status: int) -> None:
        """Raise unless the bank accepted the charge."""
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            raise AcquirerUnavailableError(f"{ACQUIRER} answered {int(status)}")
        if status != HTTPStatus.CREATED:
            raise RefusedError(402, "card declined")


class Mailer(Service):
    """Writes a receipt for every order, after the response to the customer."""

    name = "mailer"
    stable = "1.3.0"
    insert = Statement("INSERT", "outbox", "INSERT INTO outbox (order_id, text) VALUES (?, ?)")

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop)
        script = "CREATE TABLE outbox (id INTEGER PRIMARY KEY, order_id TEXT, text TEXT)"
        self.database = Database(self, script, {})

    def work(self, queue: Queue[dict[str, Any] | None]) -> None:
        """Process orders until there are no more."""
        consume(self, queue, PLACED, self.receipt)

    def receipt(self, call: Call) -> None:
        """Render a receipt and store it for sending."""
        with call.span("render receipt"):
            text = "".join(f"<p>{html.escape(str(call.body))} {n}</p>" for n in range(200))
        call.wait("mail server", 4)
        self.database.run(call, self.insert, call.body["order_id"], text)


def acquirer(listener: socket.socket, seed: int) -> ThreadingHTTPServer:
    """Return the bank: an HTTP server without tracing, slow and sometimes unavailable."""

    class Handler(BaseHTTPRequestHandler):
        wbufsize = -1

        def do_POST(self) -> None:
            """Accept, decline or fail a charge, at random by request and attempt."""
            charge = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            named = [charge[key] for key in ("number", "attempt", "resend") if key in charge]
            chance = random.Random("/".join(str(one) for one in (seed, *named)))
            time.sleep(0.024 * chance.lognormvariate(0, 0.4))
            away = 0.2 if charge["attempt"] != "0" else 0.04  # stays unavailable for a while
            away = REFUSED if charge.get("interface") == 2 else away  # noqa: PLR2004 - the newer interface
            status = 503 if chance.random() < away else chance.choices((201, 402), (0.98, 0.02))[0]
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Do not log."""

    server = ThreadingHTTPServer(listener.getsockname(), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.daemon_threads = True
    return server
