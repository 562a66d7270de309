"""A smaller version of the shop, traced with the AWS X-Ray SDK; AWS calls go to moto on loopback."""

from __future__ import annotations

import json
import logging
import random
import socket
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import boto3
import xray_sdk
from aws_xray_sdk.core import xray_recorder
from buying import ACQUIRER, AcquirerUnavailableError, acquirer
from load import PRODUCTS, customers
from moto.server import ThreadedMotoServer
from web import Reply, send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REGION = "eu-central-1"
VERSIONS = {"storefront": "5.2.0", "catalog": "3.9.1", "checkout": "2.8.0", "inventory": "4.0.3", "ledger": "1.4.0"} | {
    "payments": "3.1.2",
    "mailer": "1.3.0",
}
STATEMENT_LINES = 36  # more subsegments than the SDK keeps in one document, so it sends some separately


@dataclass
class World:
    """Shared by all services: ports, database, AWS clients."""

    seed: int
    database: sqlite3.Connection
    ports: dict[str, int] = field(default_factory=dict)
    dynamodb: Any = None
    sqs: Any = None
    queue_url: str = ""
    workers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(16))


@dataclass
class Visit:
    """One request at one service."""

    world: World
    service: str
    number: str
    path: str
    body: dict[str, Any]
    headers: dict[str, str]

    def chance(self, purpose: str) -> random.Random:
        """Return a random number for this request and purpose."""
        return random.Random(f"{self.world.seed}/{self.number}/{self.service}/{purpose}")

    def wait(self, purpose: str, median_ms: float) -> None:
        """Simulate the wait for a disk or network, log-normal and seeded."""
        time.sleep(median_ms / 1e3 * self.chance(purpose).lognormvariate(0, 0.3))

    def query(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement in the service's database."""
        return xray_sdk.query(self.world.database, self.service, text, *values)

    def ask(self, callee: str, method: str, path: str, body: dict[str, Any] | None = None) -> Reply:
        """Call another service in a remote subsegment."""
        host = callee if "." in callee else f"{callee}.shop.internal"
        with xray_sdk.subsegment(host, "remote") as opened:
            opened.put_http_meta("method", method)
            opened.put_http_meta("url", f"http://{host}{path}")
            headers = {"Host": host, xray_sdk.HEADER: xray_sdk.header_of(opened), "X-Request-Id": self.number}
            status, answer = send(self.world.ports[callee], method, path, headers, body)
            opened.put_http_meta("status", status)
        return status, answer


def storefront(visit: Visit) -> Reply:
    """Serve a product page, an order's statement, or a checkout."""
    customer_id, tier = visit.headers["x-customer-id"], visit.headers["x-customer-tier"]
    segment = xray_recorder.current_segment()
    segment.set_user(customer_id)
    segment.put_annotation("customer_tier", tier)
    segment.put_annotation("is_business", tier != "free")
    if visit.path.startswith("/products/"):
        product_id = visit.path.rpartition("/")[2]
        asks = [partial(visit.ask, "catalog", "GET", f"/v1/products/{product_id}")]
        asks += [partial(visit.ask, "inventory", "GET", f"/v1/stock/{product_id}")]
        waiting = [visit.world.workers.submit(xray_sdk.carried(ask)) for ask in asks]
        product, _ = (one.result() for one in waiting)
        return product
    if visit.path.startswith("/orders/"):
        return visit.ask("ledger", "GET", f"/v1/statements/{customer_id}")
    basket = [f"p-{n:04}" for n in visit.chance("basket").sample(range(PRODUCTS), 3)]
    segment.put_annotation("item_count", len(basket))
    segment.put_metadata("basket", basket, "shop")
    return visit.ask("checkout", "POST", "/v1/checkouts", {"customer_id": customer_id, "basket": basket})


def catalog(visit: Visit) -> Reply:
    """Return a product from DynamoDB."""
    product_id = visit.path.rpartition("/")[2]
    item = visit.world.dynamodb.get_item(TableName="products", Key={"id": {"S": product_id}}).get("Item")
    with xray_sdk.subsegment("choose pictures"):
        visit.wait("pictures", 4)
    return (200, {"title": item["title"]["S"]}) if item else (404, {"error": f"no product {product_id}"})


def inventory(visit: Visit) -> Reply:
    """Return or take stock; too many concurrent reservations are throttled."""
    visit.wait("warehouse", 5)
    if visit.path.startswith("/v1/stock/"):
        return 200, {"units": visit.query("SELECT units FROM stock WHERE product_id = ?", visit.path[10:])}
    if visit.chance("limit").random() < 0.04:  # noqa: PLR2004 - the share that meets the limit
        return 429, {"error": "too many reservations"}
    for product_id in visit.body["basket"]:
        visit.query("UPDATE stock SET units = units - 1 WHERE product_id = ?", product_id)
    return 201, {}


def checkout(visit: Visit) -> Reply:
    """Reserve, authorize, charge, store the order in DynamoDB, notify the mailer through SQS."""
    for callee, path in (("inventory", "reservations"), ("ledger", "authorizations"), ("payments", "charges")):
        status, answer = visit.ask(callee, "POST", f"/v1/{path}", visit.body)
        if status != HTTPStatus.CREATED:
            return status, answer
    order_id = f"o-{visit.number}"
    item = {"id": {"S": order_id}, "customer_id": {"S": visit.body["customer_id"]}}
    visit.world.dynamodb.put_item(TableName="orders", Item=item)
    header = {"StringValue": xray_sdk.header_of(xray_recorder.current_segment()), "DataType": "String"}
    visit.world.sqs.send_message(
        QueueUrl=visit.world.queue_url, MessageBody=order_id, MessageSystemAttributes={"AWSTraceHeader": header}
    )
    return 201, {"order_id": order_id}


def ledger(visit: Visit) -> Reply:
    """Authorize a purchase, or list a customer's spending with one statement per month."""
    if visit.path.startswith("/v1/statements/"):
        months = range(STATEMENT_LINES)
        text = "SELECT SUM(cents) FROM entries WHERE customer_id = ? AND month = ?"
        return 200, {"cents": [visit.query(text, visit.path[15:], month)[0][0] for month in months]}
    visit.wait("rules", 4)
    visit.query("SELECT SUM(cents) FROM entries WHERE customer_id = ?", visit.body["customer_id"])
    return 201, {}


def payments(visit: Visit) -> Reply:
    """Charge the card at an untraced bank; an unavailable bank is a fault."""
    with xray_sdk.subsegment("charge card") as opened:
        opened.put_annotation("acquirer", ACQUIRER)
        opened.put_metadata("limits", {"attempts": 1, "timeout_s": 30})
        charge = {"number": visit.number, "attempt": "0", "cents": 100}
        status, _ = visit.ask(ACQUIRER, "POST", "/charges", charge)
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            raise AcquirerUnavailableError(f"{ACQUIRER} answered {int(status)}")
    return (201, {}) if status == HTTPStatus.CREATED else (402, {"error": "card declined"})


SERVICES: dict[str, Callable[[Visit], Reply]] = {
    "storefront": storefront,
    "catalog": catalog,
    "inventory": inventory,
    "checkout": checkout,
    "ledger": ledger,
    "payments": payments,
}


def handler_of(service: str, world: World) -> type[BaseHTTPRequestHandler]:
    """Return the request handler of a service, with a segment around its function."""

    class Handler(BaseHTTPRequestHandler):
        wbufsize = -1
        disable_nagle_algorithm = True

        def answer(self) -> None:
            """Respond to one request in its segment."""
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
            headers = {key.lower(): value for key, value in self.headers.items()}
            visit = Visit(world, service, headers["x-request-id"], self.path, body, headers)
            sampled = not headers.get("traceparent", "").endswith("-00")  # the warm-up is not recorded
            with xray_sdk.segment(
                service, VERSIONS[service], headers.get("x-amzn-trace-id", ""), sampled=sampled
            ) as opened:
                opened.put_http_meta("method", self.command)
                opened.put_http_meta("url", f"http://{headers['host']}{self.path}")
                opened.put_http_meta("user_agent", headers.get("user-agent"))
                opened.put_http_meta("client_ip", "127.0.0.1")
                status, answer = handled(service, visit, opened)
                opened.put_http_meta("status", status)
            payload = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = answer  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_: object) -> None:
            """Do not log."""

    return Handler


def handled(service: str, visit: Visit, opened: Any) -> Reply:
    """Run the service's function; an exception is a fault with status 500."""
    try:
        return SERVICES[service](visit)
    except Exception as error:  # noqa: BLE001 - a server answers 500, whatever went wrong
        xray_sdk.blame(opened, error)
        return 500, {"error": "internal error"}


def mail(world: World, closing: threading.Event) -> None:
    """Write a receipt for every order in the queue, continuing its trace, until the shop closes and it is empty."""
    while True:
        answer = world.sqs.receive_message(
            QueueUrl=world.queue_url, MessageSystemAttributeNames=["AWSTraceHeader"], WaitTimeSeconds=1
        )
        for message in answer.get("Messages", []):
            header = message["Attributes"]["AWSTraceHeader"]
            with xray_sdk.segment("mailer", VERSIONS["mailer"], header, sampled=True):
                xray_sdk.query(world.database, "mailer", "INSERT INTO outbox VALUES (?)", message["Body"])
                world.sqs.delete_message(QueueUrl=world.queue_url, ReceiptHandle=message["ReceiptHandle"])
        if closing.is_set() and not answer.get("Messages"):
            return


@contextmanager
def opened(daemon_address: str, seed: int) -> Iterator[int]:
    """Open the shop and yield the storefront's port; on leaving, wait for the mailer and close."""
    world = World(seed, _database(seed))
    with ExitStack() as closing:
        _stock_aws(world, closing)
        xray_sdk.configure(daemon_address)
        for service in SERVICES:
            world.ports[service] = _serve(ThreadingHTTPServer(("127.0.0.1", 0), handler_of(service, world)), closing)
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        world.ports[ACQUIRER] = _serve(acquirer(listener, seed), closing)
        closed = threading.Event()
        mailer = threading.Thread(target=mail, args=(world, closed))
        mailer.start()
        try:
            yield world.ports["storefront"]
        finally:
            closed.set()
            mailer.join()


def _serve(server: ThreadingHTTPServer, closing: ExitStack) -> int:
    """Run a server in a thread until the shop closes and return its port."""
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    closing.callback(server.server_close)
    closing.callback(server.shutdown)
    return int(server.server_address[1])


def _stock_aws(world: World, closing: ExitStack) -> None:
    """Start moto, and create the tables and the queue."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # moto's server logs every request
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    closing.callback(moto.stop)
    keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none", "region_name": REGION}
    endpoint = "http://{}:{}".format(*moto.get_host_and_port())
    world.dynamodb = boto3.client("dynamodb", endpoint_url=endpoint, **keys)
    world.sqs = boto3.client("sqs", endpoint_url=endpoint, **keys)
    for table in ("products", "orders"):
        world.dynamodb.create_table(
            TableName=table,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    for n in range(PRODUCTS):
        item = {"id": {"S": f"p-{n:04}"}, "title": {"S": f"product {n}"}}
        world.dynamodb.put_item(TableName="products", Item=item)
    world.queue_url = world.sqs.create_queue(QueueName="orders-placed")["QueueUrl"]


def _database(seed: int) -> sqlite3.Connection:
    """Create the database, serialized by SQLite, so that all threads can use one connection."""
    chance = random.Random(seed)
    database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    database.executescript(
        "CREATE TABLE stock (product_id TEXT PRIMARY KEY, units INTEGER);"
        "CREATE TABLE entries (customer_id TEXT, month INTEGER, cents INTEGER);"
        "CREATE TABLE outbox (order_id TEXT)"
    )
    database.executemany("INSERT INTO stock VALUES (?, 1000)", [(f"p-{n:04}",) for n in range(PRODUCTS)])
    names = [one.id for one in customers()]
    entries = [(chance.choice(names), chance.randrange(STATEMENT_LINES), chance.randrange(9_000)) for _ in range(5_000)]
    database.executemany("INSERT INTO entries VALUES (?, ?, ?)", entries)
    return database
