"""One recording: starts the shop, warms it up, sends the load, and collects the exports of all services."""

from __future__ import annotations

import json
import multiprocessing
import socket
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import access_log
from browsing import Cart, Catalog, Inventory, Pricing, Storefront
from buying import ACQUIRER, Checkout, Ledger, Mailer, Payments, acquirer
from incidents import ZONES
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
    deployed_ns: int | None = None  # when the new version got its first requests


@dataclass(frozen=True)
class Signals:
    """Events that synchronize the start, work and stop of the processes."""

    opened: Barrier
    closing: Event
    queue: multiprocessing.Queue[dict[str, Any] | None]


def record(incident: Incident, *, seed: int, warmup: list[Planned], load: list[Planned], zoned: str = "") -> Recording:
    """Run the shop under a load and return its traces; ``zoned`` names a service that runs in two zones.

    The warm-up (other requests, not recorded) opens files, fills caches and imports modules first.
    """
    processes = multiprocessing.get_context("spawn")
    names = [service.name for service in SERVICES if service.name not in WITHOUT_HTTP] + [ACQUIRER]
    names += [f"{zoned}/second"] if zoned else []
    names += [f"{zoned}/new"] if incident.deployment else []
    with TemporaryDirectory() as folder, ExitStack() as sockets:
        listeners = {name: sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128)) for name in names}
        ports = {name: listener.getsockname()[1] for name, listener in listeners.items()}
        deployed = processes.Event()
        shop = Shop(ports, incident.releases, Path(folder), seed, zoned=zoned, deployed=deployed, fault=incident.fault)
        signals = Signals(processes.Barrier(len(names) + len(WITHOUT_HTTP) + 1), processes.Event(), processes.Queue())
        running = [
            processes.Process(
                target=_run,
                args=(name, _instance(name, shop, incident), listeners.get(name), signals),
                name=name,
                daemon=True,
            )
            for name in [*names, *sorted(WITHOUT_HTTP)]
        ]
        for process in running:
            process.start()
        signals.opened.wait(START_S)
        deployed.set()  # the new version is warm as well when its requests come
        drive(warmup, ports[Storefront.name], recorded=False)
        deployed.clear()
        deployment = _Deploying(deployed, incident, load)
        statuses = drive(load, ports[Storefront.name])
        signals.queue.put(None)
        signals.closing.set()
        for process in running:
            process.join()
        if failed := [process.name for process in running if process.exitcode]:
            raise RuntimeError(f"services exited with an error: {failed}; see their output above")
        return Recording(_lines(Path(folder)), access_log.read(Path(folder)), statuses, deployment.at_ns)


def _instance(name: str, shop: Shop, incident: Incident) -> Shop:
    """Return the configuration of one instance: an own folder and its zone if its service runs in two."""
    service, _, which = name.partition("/")
    if service != shop.zoned:
        return shop
    folder = shop.folder / (which or "first")
    folder.mkdir()
    releases = shop.releases
    if which == "new":
        assert incident.deployment is not None
        releases = releases | {service: incident.deployment.version}
    return replace(shop, folder=folder, releases=releases, zones={service: ZONES[bool(which)]})


class _Deploying:
    """Deploys after its part of the planned time, and holds when that was."""

    def __init__(self, deployed: Event, incident: Incident, load: list[Planned]) -> None:
        self.deployed = deployed
        self.at_ns: int | None = None
        if incident.deployment is not None:
            threading.Timer(load[-1].at_s * incident.deployment.share, self._deploy).start()

    def _deploy(self) -> None:
        """Send the requests of the second zone to the new version from now on."""
        self.at_ns = time.time_ns()
        self.deployed.set()


def _run(name: str, shop: Shop, listener: socket.socket | None, signals: Signals) -> None:
    """Run one service in its own process until the shop closes, then export."""
    if name == ACQUIRER:
        assert listener is not None
        _serve(acquirer(listener, shop.seed), signals)
        return
    kind = next(service for service in SERVICES if service.name == name.partition("/")[0])
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
    lines = [line for path in folder.rglob("*.jsonl") for line in path.read_text(encoding="utf-8").splitlines()]
    return sorted(lines, key=_first_end)


def _first_end(line: str) -> int:
    """Return when the first span of a request ended."""
    return int(json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["endTimeUnixNano"])
