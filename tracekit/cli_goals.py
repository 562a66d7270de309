"""The options on an objective and on prices, which the report and its verification share."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tracekit.analysis.cost.prices import Price

Objective = Annotated[
    str | None, typer.Option(help="Share of requests that have to be good, such as 99.9%: adds the error budget.")
]
LatencyMs = Annotated[float | None, typer.Option(help="With --slo: a good request also takes at most so long, in ms.")]
Prices = Annotated[
    list[str] | None, typer.Option(help="Adds what requests cost: aws-lambda, or a TOML file of prices. Repeatable.")
]


def objective_of(slo: str | None, latency_ms: float | None) -> dict[str, float] | None:
    """Return the arguments of ``tk.slo`` of the options; a usage error before any file is opened."""
    if slo is None:
        if latency_ms is not None:
            raise typer.BadParameter("a latency objective needs --slo", param_hint="--slo-latency-ms")
        return None
    if latency_ms is not None and not latency_ms > 0:
        raise typer.BadParameter(f"expected milliseconds above 0, found {latency_ms}", param_hint="--slo-latency-ms")
    try:
        share = float(Decimal(slo.removesuffix("%")) / (100 if slo.endswith("%") else 1))
    except InvalidOperation:
        share = 0.0
    if not 0 < share < 1:
        raise typer.BadParameter(f"expected a share such as 99.9% or 0.999, found {slo!r}", param_hint="--slo")
    return {"objective": share} | ({} if latency_ms is None else {"latency_ms": latency_ms})


def prices_of(prices: list[str] | None) -> list[Price] | None:
    """Return the prices of the named lists and files; a usage error before any file of traces is opened."""
    if not prices:
        return None
    from tracekit.analysis.cost.prices import price_table  # noqa: PLC0415 - not for --help

    try:
        return price_table(prices)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--prices") from error
