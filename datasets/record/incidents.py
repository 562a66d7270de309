"""The incidents that can be recorded: each is a release of one or more services, and says what it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Incident:
    """What changes between the two recordings of an incident.

    Parameters
    ----------
    name
        How the command line calls it.
    title
        One sentence.
    releases
        New version of each service that changes; the services themselves know what their versions do.
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
    title="ledger 1.5.0 checks the budget of every cost centre with a query of its own, without an index",
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
            "1.5.0 asks for each of its 20 to 44 cost centres on its own, and each query scans the whole table"
        ),
    },
)

THREE_RELEASES = Incident(
    name="three-releases",
    title="about one request in a hundred fails and about one in thirty is slow, each for its own release",
    releases={"storefront": "5.3.0", "checkout": "2.9.0", "ledger": "1.5.0"},
    truth={
        "planted": (
            "storefront 5.3.0 answers 502 for the one product without a price; checkout 2.9.0 asks a bank that is away "
            "no second time; ledger 1.5.0 sends a query for each cost centre of an enterprise customer"
        ),
    },
)

INCIDENTS = {incident.name: incident for incident in (SLOW_LEDGER, THREE_RELEASES)}
