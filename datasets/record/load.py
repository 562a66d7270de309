"""The load: plans requests, customers and times as a pure function of a seed, and sends the requests."""

from __future__ import annotations

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from web import send

PRODUCTS = 400
UNKNOWN_PRODUCT = PRODUCTS + 99
ORDERS = 300
SENDERS = 24
TIERS = {"free": (26, 0.50), "pro": (20, 0.28), "enterprise": (14, 0.22)}  # customers of the tier, share of requests
KINDS = {"view": 0.24, "search": 0.12, "add": 0.12, "checkout": 0.45, "order": 0.07}
AGENTS = {"shop-web/7.1": 0.6, "shop-ios/4.3": 0.25, "shop-android/4.2": 0.15}
WORDS = ("lamp", "chair", "desk", "shelf", "rug", "vase", "clock", "bench", "stool", "frame")


@dataclass(frozen=True)
class Customer:
    """A customer."""

    id: str
    tier: str


@dataclass(frozen=True)
class Planned:
    """One planned request: time, customer, kind."""

    at_s: float
    number: str
    customer: Customer
    agent: str
    method: str
    target: str
    body: dict[str, Any] | None


@dataclass(frozen=True)
class Phase:
    """A period: number, rate, kinds and customers of its requests."""

    count: int
    rate: float
    kinds: dict[str, float]
    tiers: dict[str, float]


def customers() -> list[Customer]:
    """Return the customers of the shop, the same for every seed."""
    return [Customer(f"{tier[:3]}-{n:03}", tier) for tier, (count, _) in TIERS.items() for n in range(count)]


def plan(
    seed: int,
    count: int,
    rate: float,
    prefix: str = "r",
    kinds: dict[str, float] | None = None,
    tiers: dict[str, float] | None = None,
) -> list[Planned]:
    """Return the requests of a seed: Poisson arrivals at ``rate`` per second, kinds and customers by their shares."""
    chance, tiers = random.Random(f"{seed}/{prefix}"), tiers or {tier: share for tier, (_, share) in TIERS.items()}
    by_tier = {tier: [one for one in customers() if one.tier == tier] for tier in TIERS}
    planned, at_s = [], 0.0
    for n in range(count):
        at_s += chance.expovariate(rate)
        customer = chance.choice(by_tier[_pick(chance, tiers)])
        method, target, body = _request(_pick(chance, kinds or KINDS), chance)
        planned.append(Planned(at_s, f"{prefix}-{n:05}", customer, _pick(chance, AGENTS), method, target, body))
    return planned


def one_after_another(seed: int, phases: dict[str, Phase]) -> list[Planned]:
    """Return the requests of several consecutive phases, with numbered names."""
    planned: list[Planned] = []
    for name, phase in phases.items():
        begins = planned[-1].at_s if planned else 0.0
        some = plan(seed, phase.count, phase.rate, name, phase.kinds, phase.tiers)
        planned += [replace(one, at_s=begins + one.at_s) for one in some]
    return planned


def drive(planned: list[Planned], port: int, *, recorded: bool = True) -> Counter[int]:
    """Send the requests on schedule, regardless of response times, and count the statuses.

    Requests that are not recorded have an unsampled trace context, which every service respects.
    """
    started = time.monotonic()
    with ThreadPoolExecutor(SENDERS) as senders:
        waiting = []
        for request in planned:
            time.sleep(max(0.0, started + request.at_s - time.monotonic()))
            waiting.append(senders.submit(_send, request, port, recorded=recorded))
        return Counter(one.result() for one in waiting)


def _send(request: Planned, port: int, *, recorded: bool) -> int:
    """Send one request like a browser, and return the status."""
    headers = {
        "Host": "www.shop.example",
        "User-Agent": request.agent,
        "X-Request-Id": request.number,
        "X-Customer-Id": request.customer.id,
        "X-Customer-Tier": request.customer.tier,
    }
    if not recorded:
        headers["traceparent"] = f"00-{random.getrandbits(128) or 1:032x}-{random.getrandbits(64) or 1:016x}-00"
    return send(port, request.method, request.target, headers, request.body)[0]


def _request(kind: str, chance: random.Random) -> tuple[str, str, dict[str, Any] | None]:
    """Return method, target and body of a request of one kind."""
    product = UNKNOWN_PRODUCT if chance.random() < 0.02 else int(PRODUCTS * chance.random() ** 2.2)  # noqa: PLR2004 - shares
    if kind == "view":
        return "GET", f"/products/p-{product:04}", None
    if kind == "search":
        return "GET", f"/search?q={quote(chance.choice(WORDS))}", None
    if kind == "add":
        return "POST", "/cart/items", {"product_id": f"p-{product:04}"}
    if kind == "order":
        return "GET", f"/orders/o-{int(ORDERS * 1.03 * chance.random()):04}", None  # some do not exist
    return "POST", "/checkout", {}


def _pick(chance: random.Random, shares: dict[str, float]) -> str:
    """Pick a key by its share."""
    return chance.choices(list(shares), list(shares.values()))[0]
