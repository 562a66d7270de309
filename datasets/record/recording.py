"""One recording: starts the shop, warms it up, sends the load, and collects the exports of all services."""

from __future__ import annotations

import json
import multiprocessing
import socket
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import access_log
from browsing import Cart, Catalog, Inventory, Pricing, Storefront
from buying import ACQUIRER, Checkout, Ledger, Mailer, Payments, acquirer
from load import drive
from server import listen
from web import Service, Shop

if TYPE_CHECKING:
    from collections import Counter
    from multiprocessing.synchronize import Barrier, Event

    from incidents import Incident
    from load import Planned

SERVICES: tuple[type[Service], ...] = (
    Storefront,
    Catalog,
    Pricing,
    Inventory,
    Cart,
    Checkout,
    Ledger,
    Payments,
    Mailer,
)
WITHOUT_HTTP = {Mailer.name}
START_S = 60


@dataclass(frozen=True)
class Recording:
    """The result of a run: its OTLP JSON lines, the storefront's access log, and the response statuses."""

    lines: list[str]
    access_log: list[str]
    statuses: Counter[int]


@dataclass(frozen=True)
class Signals:
    """Events that synchronize the start, work and stop of the processes."""

    opened: Barrier
    closing: Event
    queue: multiprocessing.Queue[dict[str, Any] | None]


def record(incident: Incident, *, seed: int, warmup: list[Planned], load: list[Planned]) -> Recording:
    """Run the shop under a load and return its traces.

    The warm-up (other requests, not recorded) opens files, fills caches and imports modules first.
    """
    processes = multiprocessing.get_context("spawn")
    names = [service.name for service in SERVICES if service.name not in WITHOUT_HTTP] + [ACQUIRER]
    with TemporaryDirectory() as folder, ExitStack() as sockets:
        listeners = {name: sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128)) for name in names}
        ports = {name: listener.getsockname()[1] for name, listener in listeners.items()}
        shop = Shop(ports, incident.releases, Path(folder), seed)
        signals = Signals(processes.Barrier(len(SERVICES) + 2), processes.Event(), processes.Queue())
        running = [
            processes.Process(target=_run, args=(name, shop, listeners.get(name), signals), name=name, daemon=True)
            for name in [*names, *sorted(WITHOUT_HTTP)]
        ]
        for process in running:
            process.start()
        signals.opened.wait(START_S)
        drive(warmup, ports[Storefront.name], recorded=False)
        statuses = drive(load, ports[Storefront.name])
        signals.queue.put(None)
        signals.closing.set()
        for process in running:
            process.join()
        if failed := [process.name for process in running if process.exitcode]:
            raise RuntimeError(f"services exited with an error: {failed}; see their output above")
        return Recording(_lines(Path(folder)), access_log.read(Path(folder)), statuses)


def _run(name: str, shop: Shop, listener: socket.socket | None, signals: Signals) -> None:
    """Run one service in its own process until the shop closes, then export."""
    if name == ACQUIRER:
        assert listener is not None
        _serve(acquirer(listener, shop.seed), signals)
        return
    kind = next(service for service in SERVICES if service.name == name)
    service = kind(shop, signals.queue) if kind is Checkout else kind(shop)
    if isinstance(service, Mailer):
        signals.opened.wait(START_S)
        service.work(signals.queue)
    else:
        assert listener is not None
        _serve(listen(service, listener), signals)
    service.provider.shutdown()
    if service.is_edge:
        service.access_log.write()


def _serve(server: Any, signals: Signals) -> None:
    """Answer requests until the shop closes."""
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2})
    serving.start()
    signals.opened.wait(START_S)
    signals.closing.wait()
    server.shutdown()
    serving.join()


def _lines(folder: Path) -> list[str]:
    """Return the exported lines of all services in order of time, as received by one collector."""
    lines = [line for path in folder.glob("*.jsonl") for line in path.read_text(encoding="utf-8").splitlines()]
    return sorted(lines, key=_first_end)


def _first_end(line: str) -> int:
    """Return when the first span of a request ended."""
    return int(json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["endTimeUnixNano"])
