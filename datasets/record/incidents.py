"""The incidents that can be recorded: each releases one or more services, and describes the effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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
    """

    name: str
    title: str
    releases: dict[str, str]
    truth: dict[str, Any]


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

INCIDENTS = {incident.name: incident for incident in (SLOW_LEDGER, THREE_RELEASES)}
