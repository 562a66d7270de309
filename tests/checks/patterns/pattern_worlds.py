"""Shops of random rate, size, depth and noise, healthy or with one planted pattern."""

from itertools import count

import numpy as np
import pandas as pd

from tracekit import TraceSet

START, MS, SECOND = 1_764_000_000_000_000_000, 1_000_000, 1_000_000_000
SERVICES = ("edge", "shop", "cart", "ledger", "stock", "price", "mail", "search")


class Shop:
    """A chain of services that call each other; the last one plants a pattern below its own span."""

    def __init__(self, rng, requests=None):
        self.rng = rng
        self.requests = requests or int(rng.integers(60, 400))
        self.depth = int(rng.integers(1, 5))
        self.own_ms = float(rng.uniform(2, 30))
        self.noise = float(rng.uniform(0.1, 0.6))
        self.rate = float(rng.uniform(1, 50))
        self.names = rng.permutation(SERVICES)
        self.rows, self.ids = [], count(1)

    def time(self, mean_ms):
        """A random time around a mean, in ns."""
        return int(mean_ms * MS * self.rng.lognormal(-(self.noise**2) / 2, self.noise))

    def span(self, trace, parent, service, name, kind, begin, end, *, failed=False, **more):
        """Record a span, and return its id."""
        span_id = f"{next(self.ids):016x}"
        row = (f"{trace + 1:032x}", span_id, parent, service, name, kind, begin, end, "ERROR" if failed else "UNSET")
        self.rows.append(dict(zip(COLUMNS, row, strict=True)) | more)
        return span_id

    def traces(self, plant, share=1.0):
        """Requests through the chain; ``plant`` records what is below the last service, and returns when it ends."""
        begins = np.cumsum(self.rng.exponential(SECOND / self.rate, self.requests)).astype(np.int64) + START
        for trace, begin in enumerate(begins.tolist()):
            has = self.rng.random() < share
            self._request(trace, begin, plant if has else healthy_call)
        return TraceSet.from_spans(pd.DataFrame(self.rows))

    def _request(self, trace, begin, plant):
        """Record one request from the inside out."""
        chain = [str(name) for name in self.names[: self.depth + 1]]
        opened, at, parent = [], begin, None
        for up, service in zip([None, *chain], chain, strict=False):
            if up is not None:
                parent = self._open(opened, trace, parent, up, f"call {service}", "CLIENT", at)
                at += self.time(0.2)
            parent = self._open(opened, trace, parent, service, f"POST /{service}", "SERVER", at)
            at += self.time(self.own_ms / 2)
        at = plant(self, trace, parent, chain[-1], at)
        for row in reversed(opened):
            at += self.time(self.own_ms / 2) if row["kind"] == "SERVER" else self.time(0.2)
            row["end_ns"] = at

    def _open(self, opened, *span):
        """Record a span whose end is not known yet."""
        span_id = self.span(*span, 0)
        opened.append(self.rows[-1])
        return span_id


COLUMNS = ("trace_id", "span_id", "parent_span_id", "service_name", "name", "kind", "start_ns", "end_ns", "status_code")


def call(shop, trace, parent, service, begin, took, name="SELECT items", **more):
    """Record a call to the database, and return when it ends."""
    shop.span(trace, parent, service, name, "CLIENT", begin, begin + took, **{"attributes.db.system": "mysql"} | more)
    return begin + took


def healthy_call(shop, trace, parent, service, at):
    """One to three calls of the database, the second at the same time as the first."""
    ends = [call(shop, trace, parent, service, at, shop.time(4), f"SELECT {k}") for k in range(shop.rng.integers(1, 4))]
    return max(ends)


def mostly_hits(shop, trace, parent, service, at):
    """A read of a cache, with the database after 3% of them."""
    at = call(shop, trace, parent, service, at, shop.time(1), "GET", **{"attributes.db.system": "redis"})
    return call(shop, trace, parent, service, at, shop.time(10)) if shop.rng.random() < 0.03 else at


def session_first(shop, trace, parent, service, at):
    """A read of a session from a cache, and of the database in any case."""
    at = call(shop, trace, parent, service, at, shop.time(1), "GET", **{"attributes.db.system": "redis"})
    return call(shop, trace, parent, service, at, shop.time(30))


def steady_queue(shop, trace, parent, service, at):
    """A message for a consumer that is busy 60% of the time."""
    sent = at + shop.time(1)
    shop.span(trace, parent, service, "send mail", "PRODUCER", at, sent)
    begins = max(sent + shop.time(20), getattr(shop, "free", 0))
    shop.free = begins + int(0.6 * SECOND / shop.rate * shop.rng.exponential())
    shop.span(trace, shop.rows[-1]["span_id"], "mailer", "receive mail", "CONSUMER", begins, shop.free)
    return sent


def refused(shop, trace, parent, service, at):
    """A call that fails without reaching its callee in 5% of the cases."""
    took, failed = shop.time(60), bool(shop.rng.random() < 0.05)
    span_id = shop.span(trace, parent, service, "call bank", "CLIENT", at, at + took, failed=failed)
    if not failed:
        shop.span(trace, span_id, "bank", "POST /pay", "SERVER", at + MS // 10, at + took - MS // 10)
    return at + took


HEALTHY = (healthy_call, mostly_hits, session_first, steady_queue, refused)


def one_by_one(shop, trace, parent, service, at):
    """Ten to forty calls of the database in a row."""
    for _ in range(shop.rng.integers(10, 41)):
        at = call(shop, trace, parent, service, at, shop.time(2)) + shop.time(0.1)
    return at


def failing_twice(shop, trace, parent, service, at):
    """A call that fails two times and is repeated after a pause."""
    for failed in (True, True, False):
        at = call(shop, trace, parent, service, at, shop.time(10), failed=failed) + shop.time(5)
    return at


def after_two_seconds(shop, trace, parent, service, at):
    """A call that fails after two seconds, and some milliseconds of overhead."""
    return call(shop, trace, parent, service, at, 2 * SECOND + int(shop.rng.exponential(2 * MS)), failed=True)


def one_of_eight(shop, trace, parent, service, at):
    """Eight parallel calls of which one takes five times as long."""
    times = [shop.time(10) for _ in range(8)]
    slow = max(times) * int(shop.rng.integers(3, 8))
    return max(call(shop, trace, parent, service, at + k * 1000, took) for k, took in enumerate([*times, slow]))


def in_either_order(shop, trace, parent, service, at):
    """Two calls, one after the other, in a random order."""
    for name in shop.rng.permutation(["GET stock", "GET price"]).tolist():
        at = call(shop, trace, parent, service, at, shop.time(20), name)
    return at


def given_up(shop, trace, parent, service, at):
    """A call that fails while its callee works on for some seconds."""
    took, name = shop.time(100), "call bank"
    shop.span(trace, parent, service, name, "CLIENT", at, at + took, failed=True)
    shop.span(trace, shop.rows[-1]["span_id"], "bank", "POST /pay", "SERVER", at + MS, at + took + shop.time(3000))
    return at + took


def at_times_queued(shop, trace, parent, service, at):
    """A call of which a quarter waits for a connection."""
    queued = shop.time(200) if shop.rng.random() < 0.25 else 0
    took = shop.time(30) + 2 * MS
    shop.span(trace, parent, service, "call bank", "CLIENT", at, at + queued + took)
    shop.span(trace, shop.rows[-1]["span_id"], "bank", "POST /pay", "SERVER", at + queued + MS, at + queued + took - MS)
    return at + queued + took


def on_four_hosts(shop, trace, parent, service, at):
    """A call to one of four hosts, of which one takes three times as long."""
    host = int(shop.rng.integers(0, 4))
    took = shop.time(40) * (3 if host == 3 else 1)
    shop.span(trace, parent, service, "call bank", "CLIENT", at, at + took)
    where = {"host_name": f"bank-{host}"}
    shop.span(
        trace, shop.rows[-1]["span_id"], "bank", "POST /pay", "SERVER", at + MS // 10, at + took - MS // 10, **where
    )
    return at + took


def started_cold(shop, trace, parent, service, at):
    """A call of a function that a fifth of the time has to start."""
    is_cold = bool(shop.rng.random() < 0.2)
    took = shop.time(20) + is_cold * shop.time(800)
    shop.span(trace, parent, service, "invoke", "CLIENT", at, at + took)
    more = {"attributes.faas.coldstart": is_cold}
    shop.span(
        trace, shop.rows[-1]["span_id"], "resize", "resize", "SERVER", at + MS // 10, at + took - MS // 10, **more
    )
    return at + took


def twice_recorded(shop, trace, parent, service, at):
    """A call that the mesh of the callee records as well."""
    took = shop.time(30)
    shop.span(trace, parent, service, "call bank", "CLIENT", at, at + took)
    shop.span(trace, shop.rows[-1]["span_id"], "bank", "POST /pay", "SERVER", at + MS // 10, at + took - MS // 10)
    shop.span(trace, shop.rows[-1]["span_id"], "bank", "POST /pay", "SERVER", at + MS // 5, at + took - MS // 5)
    return at + took


def probed(shop, _, __, ___, at):
    """Nothing below; the request is that of a prober, whatever its path."""
    root = next(row for row in reversed(shop.rows) if row["parent_span_id"] is None)
    root["attributes.user_agent.original"] = "kube-probe/1.31"
    return at


def served_later(shop, trace, _, __, at):
    """Nothing now; a mail that the first service writes long after its answer."""
    root = next(row for row in reversed(shop.rows) if row["parent_span_id"] is None)
    later = at + 60 * SECOND
    shop.span(trace, root["span_id"], root["service_name"], "write mail", "INTERNAL", later, later + shop.time(20))
    return at


def one_worker(shop, trace, parent, service, at):
    """A call that waits until the only worker of the bank is free."""
    usual = SECOND / shop.rate
    free, took = max(at + MS // 10, getattr(shop, "free", 0)), int(usual * shop.rng.uniform(0.7, 1.0))
    shop.free = free + took
    shop.span(trace, parent, service, "call bank", "CLIENT", at, shop.free + MS // 10)
    here = {"service_instance_id": "bank-1"}
    shop.span(trace, shop.rows[-1]["span_id"], "bank", "POST /pay", "SERVER", free, shop.free, **here)
    return shop.free + MS // 10


def on_new_instances(shop, trace, parent, service, at):
    """A call to an instance that is replaced every quarter, and is slow for its first five requests."""
    shop.served = getattr(shop, "served", 0) + 1
    quarter = -(-shop.requests // 4)
    instance, rank = divmod(shop.served - 1, quarter)
    took = shop.time(40) * (4 if instance and rank < 5 else 1)
    shop.span(trace, parent, service, "call bank", "CLIENT", at, at + took)
    here = {"service_instance_id": f"bank-{instance}"}
    shop.span(
        trace, shop.rows[-1]["span_id"], "bank", "POST /pay", "SERVER", at + MS // 10, at + took - MS // 10, **here
    )
    return at + took


def given_up_by_all(shop, trace, parent, service, at):
    """A call of a bank, which calls a vault that hangs: the bank gives up after 2 s, its caller after one."""
    shop.span(trace, parent, service, "call bank", "CLIENT", at, at + SECOND + shop.time(2), failed=True)
    inner = shop.time(20)
    ends = at + inner + 2 * SECOND + shop.time(2)
    bank = shop.span(trace, shop.rows[-1]["span_id"], "bank", "POST /pay", "SERVER", at + MS, ends + inner, failed=True)
    call_vault = shop.span(trace, bank, "bank", "call vault", "CLIENT", at + inner, ends, failed=True)
    shop.span(trace, call_vault, "vault", "GET /key", "SERVER", at + inner + MS, ends + shop.time(3000))
    return at + SECOND + shop.time(2) + MS


def read_through(shop, trace, parent, service, at):
    """A read of a cache, and of the database in a third of the cases."""
    at = call(shop, trace, parent, service, at, shop.time(1), "GET", **{"attributes.db.system": "redis"})
    if shop.rng.random() < 1 / 3:
        at = call(shop, trace, parent, service, at, shop.time(80), "SELECT items") + shop.time(0.1)
        at = call(shop, trace, parent, service, at, shop.time(1), "SET", **{"attributes.db.system": "redis"})
    return at


def lagging(shop, trace, parent, service, at):
    """A message for a consumer that takes 1.3 to 2 times as long for each as there is time."""
    sent = at + shop.time(1)
    shop.span(trace, parent, service, "send mail", "PRODUCER", at, sent)
    begins = max(sent + shop.time(20), getattr(shop, "free", 0))
    shop.free = begins + int(SECOND / shop.rate * shop.rng.uniform(1.3, 2))
    shop.span(trace, shop.rows[-1]["span_id"], "mailer", "receive mail", "CONSUMER", begins, shop.free)
    return sent


def half_recorded(shop, trace, parent, service, at, *, in_trace=None):
    """A call of a bank of which half of the instances record no spans, or spans in a trace of their own."""
    took = shop.time(60)
    span_id = shop.span(
        trace, parent, service, "call bank", "CLIENT", at, at + took, **{"attributes.server.address": "bank"}
    )
    bank = ("bank", "POST /pay", "SERVER", at + MS // 10, at + took - MS // 10)
    if shop.rng.random() < 0.5:
        shop.span(trace, span_id, *bank)
    elif in_trace is not None:
        shop.span(in_trace, None, *bank)
    return at + took


def half_continued(shop, trace, parent, service, at):
    """A call of a bank of which half of the instances begin a trace of their own."""
    return half_recorded(shop, trace, parent, service, at, in_trace=trace + 1_000_000)


PLANTED = {
    "patterns.n_plus_one": (one_by_one, 0.3),
    "patterns.retries": (failing_twice, 0.4),
    "patterns.time_outs": (after_two_seconds, 0.15),
    "patterns.stragglers": (one_of_eight, 0.5),
    "patterns.sequential_calls": (in_either_order, 0.5),
    "patterns.abandoned_calls": (given_up, 0.2),
    "patterns.waits": (at_times_queued, 1.0),
    "patterns.slow_instances": (on_four_hosts, 1.0),
    "patterns.cold_starts": (started_cold, 1.0),
    "patterns.after_response": (served_later, 0.5),
    "patterns.one_at_a_time": (one_worker, 1.0),
    "patterns.slow_starts": (on_new_instances, 1.0),
    "patterns.double_spans": (twice_recorded, 0.5),
    "patterns.health_checks": (probed, 0.3),
    "patterns.time_out_cascades": (given_up_by_all, 0.2),
    "patterns.cache_misses": (read_through, 1.0),
    "patterns.consumer_lag": (lagging, 1.0),
    "patterns.missing_spans": (half_recorded, 1.0),
    "patterns.lost_context": (half_continued, 1.0),
}

# what a planted pattern brings with it: requests wait for the only worker; calls time out while their callee goes on
FOLLOWS = {
    "patterns.one_at_a_time": {"patterns.waits"},
    "patterns.time_out_cascades": {"patterns.time_outs", "patterns.abandoned_calls"},
}
