"""The incidents that can be recorded: each releases one or more services, and describes the effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faults import Fault


@dataclass(frozen=True)
class Deployment:
    """A release of one service in one of two zones, in the middle of a recording.

    Parameters
    ----------
    service
        Name of the service, which runs in both zones.
    version
        The version that replaces the stable one in the second zone.
    share
        Part of the planned time after which the requests of the zone go to the new version.
    """

    service: str
    version: str
    share: float = 0.5


@dataclass(frozen=True)
class Incident:
    """The difference between the two recordings of an incident.

    Parameters
    ----------
    name
        Name on the command line.
    title
        One sentence.
    releases
        New version of each service that changes; the services implement the behavior of their versions.
    truth
        What an analysis should find: where the time goes, for whom, and why.
    deployment
        A release in the middle of the recording, in one zone only.
    fault
        A fault that no version implements.
    """

    name: str
    title: str
    releases: dict[str, str]
    truth: dict[str, Any]
    deployment: Deployment | None = None
    fault: Fault | None = None


ZONES = ("eu-central-1a", "eu-central-1b")
HEALTHY = Incident("healthy", "every service in its stable version", {}, {})

SLOW_LEDGER = Incident(
    name="slow-ledger",
    title="ledger 1.5.0 runs one unindexed query per cost centre (N+1 pattern)",
    releases={"ledger": "1.5.0"},
    truth={
        "service": "ledger",
        "operation": "POST /v1/authorizations",
        "entry_operation": "POST /checkout",
        "span_name": "SELECT entries",
        "version": {"baseline": "1.4.0", "during": "1.5.0"},
        "affected": {"attribute": "app.customer.tier", "value": "enterprise"},
        "planted": (
            "1.4.0 sums the spending of all cost centres of an enterprise customer in one indexed query; "
            "1.5.0 runs one query for each of its 20 to 44 cost centres, and each query scans the whole table"
        ),
    },
)

THREE_RELEASES = Incident(
    name="three-releases",
    title="about 1% of requests fail (storefront 5.3.0, checkout 2.9.0), about 3% are slow (ledger 1.5.0)",
    releases={"storefront": "5.3.0", "checkout": "2.9.0", "ledger": "1.5.0"},
    truth={
        "planted": (
            "storefront 5.3.0 responds with 502 for the one product without a price; checkout 2.9.0 does not retry "
            "when the bank is unavailable; ledger 1.5.0 runs one query per cost centre of an enterprise customer"
        ),
    },
)


def _deployed(
    name: str, title: str, change: tuple[str, str, str], operation: str, first: dict[str, list[str]], planted: str
) -> Incident:
    """Return the incident of a release (service, stable version, new version) in the second zone.

    ``first`` has the first operation and the first edge of a comparison after the onset, each with its verdict.
    """
    service, stable, version = change
    truth = {
        "service": service,
        "operation": operation,
        "entry_operation": "POST /checkout",
        "version": {"baseline": stable, "during": version},
        "first_row": first,
        "affected": {"attribute": "cloud.availability_zone", "value": ZONES[1]},
        "planted": planted,
    }
    return Incident(name, title, {}, truth, Deployment(service, version))


COLD_LEDGER = _deployed(
    "cold-ledger",
    "ledger 1.6.0 runs as a function whose environments start on a request and end after 200 ms without one",
    ("ledger", "1.4.0", "1.6.0"),
    "POST /v1/authorizations",
    {"operation": ["ledger", "start environment", "new"], "edge": ["checkout", "ledger", "slower"]},
    "1.4.0 opens its database when it starts; 1.6.0 starts an execution environment for a request that finds none "
    "idle, which loads its image, connects and reads all entries first (faas.coldstart = true), and "
    "drops environments that had no request for 200 ms",
)

EXHAUSTED_INVENTORY = _deployed(
    "exhausted-inventory",
    "inventory 4.2.0 keeps a database connection while it waits for the warehouse, and its pool runs out",
    ("inventory", "4.0.3", "4.2.0"),
    "POST /v1/reservations",
    {"operation": ["inventory", "confirm at warehouse", "new"], "edge": ["checkout", "inventory", "more errors"]},
    "4.2.0 takes one of its two connections before it asks the warehouse to confirm (about 350 ms) and returns it "
    "after; requests that wait more than 400 ms for a connection get 503, on which checkout answers 502, and "
    "on its answer storefront",
)

QUERY_PER_ITEM = _deployed(
    "query-per-item",
    "inventory 4.1.0 reserves one item after the other instead of the whole cart at once (N+1 pattern)",
    ("inventory", "4.0.3", "4.1.0"),
    "POST /v1/reservations",
    {"operation": ["inventory", "POST /v1/reservations", "slower"], "edge": ["checkout", "inventory", "slower"]},
    "4.0.3 asks the warehouse once and reserves all items with two statements; 4.1.0 asks once for each of the 2 to 5 "
    "items of the cart and runs two statements for each",
)

NAIVE_RETRIES = _deployed(
    "naive-retries",
    "payments 3.2.0 uses an interface of the bank that refuses 60% of the calls, and repeats them without a pause",
    ("payments", "3.1.2", "3.2.0"),
    "POST /v1/charges",
    {
        "operation": ["payments", "POST /charges", "more errors"],
        "edge": ["payments", "api.acquirer.example", "more errors"],
    },
    "3.1.2 calls the bank once; 3.2.0 calls an interface of the bank that answers 503 to 60% of the calls, and repeats "
    "a refused call at once, up to eight attempts, so nearly all charges succeed after 2.5 calls on average",
)

INCIDENTS = {
    incident.name: incident
    for incident in (SLOW_LEDGER, THREE_RELEASES, COLD_LEDGER, EXHAUSTED_INVENTORY, QUERY_PER_ITEM, NAIVE_RETRIES)
}
