"""Prices of calls and of time, and the built-in price list of AWS Lambda."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.traces import Filter


class Price(NamedTuple):
    """What some spans cost, in US dollars.

    Parameters
    ----------
    name
        Name of the item in the result.
    where
        The spans that are charged: a condition on spans as in ``TraceSet.where`` (an expression, a mask, a callable).
    usd_per_million
        Per million such spans.
    usd_per_hour
        Per hour of their duration.
    usd_per_gb_hour
        Per hour of their duration and GB of memory (``faas.max_memory``, in bytes); spans without it are counted as
        ``unpriced_count``.

    Examples
    --------
    >>> tk.Price("bank", "service_name == 'ledger'", usd_per_million=900).usd_per_million
    900
    """

    name: str
    where: Filter
    usd_per_million: float = 0.0
    usd_per_hour: float = 0.0
    usd_per_gb_hour: float = 0.0


PRICE_LISTS: Final = {
    "aws-lambda": (
        Price("AWS Lambda requests", "faas_name == faas_name and kind == 'SERVER'", usd_per_million=0.20),
        Price(
            "AWS Lambda GB-seconds",
            "faas_name == faas_name and kind == 'SERVER'",
            usd_per_gb_hour=round(0.0000166667 * 3600, 10),
        ),
    )
}
"""List prices of January 2025 for x86 in us-east-1, first tier, without the free tier: 0.20 USD per million requests,
0.0000166667 USD per GB-second."""

XRAY_RECORDED: Final = 5.0
"""US dollars per million traces recorded by AWS X-Ray: list price of January 2025, without the free tier."""


def price_table(prices: Sequence[Price | str]) -> list[Price]:
    """Return the prices, with those of the named lists; ValueError if they cannot be used.

    Examples
    --------
    >>> [price.name for price in price_table(["aws-lambda"])]
    ['AWS Lambda requests', 'AWS Lambda GB-seconds']
    """
    if isinstance(prices, (str, Price)) or not len(prices):
        example = "[tk.Price('bank', \"name == 'charge'\", usd_per_million=900)]"
        raise ValueError(f"expected a list of prices, such as {example} or ['aws-lambda'], found {prices!r}")
    found: list[Price] = []
    for price in prices:
        if not isinstance(price, Price) and not (isinstance(price, str) and price in PRICE_LISTS):
            raise ValueError(f"expected a tk.Price or one of the lists {', '.join(PRICE_LISTS)}, found {price!r}")
        found += PRICE_LISTS[price] if isinstance(price, str) else [price]
    for price in found:
        if not min(price.usd_per_million, price.usd_per_hour, price.usd_per_gb_hour) >= 0:
            raise ValueError(f"expected prices of 0 or more, found {price!r}")
    names = [price.name for price in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(
            f"expected a name of its own for each price, found {', '.join(map(repr, twice))} several times"
        )
    return found
