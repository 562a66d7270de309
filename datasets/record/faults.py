"""Faults that begin with a request: in one service, for one tier of customers or for all, with or without a release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from opentelemetry import baggage

if TYPE_CHECKING:
    from web import Call

Kind = Literal["slow service", "slow statements", "repeated statements", "slow network", "failures"]
CUSTOMER_ID = "app.customer.id"
CUSTOMER_TIER = "app.customer.tier"


class FaultyError(Exception):
    """Raised by a service that fails."""


@dataclass(frozen=True)
class Fault:
    """What one service does wrong from a request on.

    Parameters
    ----------
    kind
        ``slow service``: its handlers wait ``size`` ms; ``slow statements``: each takes ``size`` ms more;
        ``repeated statements``: each SELECT runs ``size`` times; ``slow network``: its calls take ``size`` ms more than
        the callee; ``failures``: one of ``size`` requests raises an exception.
    service
        Name of the service.
    size
        See ``kind``.
    first
        Number of the first request with the fault.
    tier
        Tier of the customers for whom it happens; empty for all.
    """

    kind: Kind
    service: str
    size: int
    first: int = 0
    tier: str = ""

    def at(self, call: Call, *kinds: Kind) -> int:
        """Return the size of the fault at a call if it has one of these kinds, otherwise 0; none in the warm-up."""
        prefix, _, number = call.number.rpartition("-")
        is_here = self.kind in kinds and self.service == call.service.name and not prefix.startswith("w")
        is_theirs = self.tier in {"", str(baggage.get_baggage(CUSTOMER_TIER))}
        return self.size if is_here and is_theirs and int(number) >= self.first else 0


def fault_at(call: Call, *kinds: Kind) -> int:
    """Return the size of the shop's fault at a call; 0 without one."""
    fault = call.service.shop.fault
    return 0 if fault is None else fault.at(call, *kinds)
