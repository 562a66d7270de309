"""Prices of calls and of time: price tables, their files, and the built-in price list of AWS Lambda."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

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


_FILE_EXAMPLE: Final = "[[price]], then name = 'bank', where = \"name == 'charge'\", usd_per_million = 900"


def price_table(prices: Sequence[Price | str]) -> list[Price]:
    """Return the prices, with those of the named lists and TOML files; ValueError if they cannot be used.

    Examples
    --------
    >>> [price.name for price in price_table(["aws-lambda"])]
    ['AWS Lambda requests', 'AWS Lambda GB-seconds']
    """
    if isinstance(prices, (str, Price)) or not len(prices):
        example = "[tk.Price('bank', \"name == 'charge'\", usd_per_million=900)]"
        raise ValueError(
            f"expected a list of prices, such as {example}, ['aws-lambda'] or ['prices.toml'], found {prices!r}"
        )
    found = [one for price in prices for one in _listed(price)]
    for price in found:
        if not min(price.usd_per_million, price.usd_per_hour, price.usd_per_gb_hour) >= 0:
            raise ValueError(f"expected prices of 0 or more, found {price!r}")
    names = [price.name for price in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(
            f"expected a name of its own for each price, found {', '.join(map(repr, twice))} several times"
        )
    return found


def _listed(price: Any) -> Sequence[Price]:
    """Return a price, or those of a named list or of a file."""
    if isinstance(price, Price):
        return [price]
    if isinstance(price, str) and price in PRICE_LISTS:
        return PRICE_LISTS[price]
    if isinstance(price, str) and price.endswith(".toml"):
        return _read(Path(price).expanduser())
    raise ValueError(
        f"expected a tk.Price, one of the lists {', '.join(PRICE_LISTS)}, or a file NAME.toml, found {price!r}"
    )


def _read(path: Path) -> list[Price]:
    """Return the prices of a TOML file."""
    if not path.is_file():
        raise ValueError(f"expected a file of prices, found none at {path}")
    try:
        tables = tomllib.loads(path.read_text("utf-8")).get("price")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not TOML: {error}; expected {_FILE_EXAMPLE}") from error
    if not isinstance(tables, list) or not tables:
        raise ValueError(f"{path}: expected prices, found none; write {_FILE_EXAMPLE}")
    return [_of_file(path, number, table) for number, table in enumerate(tables, 1)]


def _of_file(path: Path, number: int, table: Any) -> Price:
    """Return one price of a file."""
    given = table if isinstance(table, dict) else {}
    amounts = [given.get(name, 0.0) for name in Price._fields[2:]]
    is_number = all(isinstance(amount, (int, float)) and not isinstance(amount, bool) for amount in amounts)
    is_text = all(isinstance(given.get(name), str) for name in Price._fields[:2])
    if not is_number or not is_text or set(given) - set(Price._fields):
        raise ValueError(
            f"{path}: price {number}: expected texts {' and '.join(Price._fields[:2])} and numbers "
            f"{', '.join(Price._fields[2:])}, found {table!r}"
        )
    return Price(**given)
