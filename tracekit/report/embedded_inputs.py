"""The inputs of a report as files of the archive in its page, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tracekit.analysis.cost.prices import Price, price_table
from tracekit.analysis.slo.burn_rates import BurnRule
from tracekit.loading.inputs import (
    Deployment,
    Facts,
    StatedPrice,
    counts_file,
    counts_in,
    facts_file,
    facts_in,
    lines_file,
    lines_in,
    log_sources,
)
from tracekit.report.inputs import NO_INPUTS, Inputs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LINES: Final = "lines.parquet"
COUNTS: Final = "requests.parquet"
FACTS: Final = "facts.json"
_RULES: Final = "rules"  # the argument of an objective that is a list of alerts
_DEPLOYMENT: Final = ("service_name", "service_version", "previous_version", "first_ns")


def files_of(inputs: Inputs) -> dict[str, bytes]:
    """Return the files of inputs by name; none if nothing was given."""
    if not inputs.given:
        return {}
    found = {FACTS: facts_file(facts_of(inputs))}
    found |= {} if inputs.logs is None else {LINES: lines_file(inputs.logs)}
    return found | ({} if inputs.requests is None else {COUNTS: counts_file(inputs.requests)})


def facts_of(inputs: Inputs) -> Facts:
    """Return what is not a table in inputs."""
    lines, counts, prices = inputs.logs, inputs.requests, inputs.goals.prices
    return Facts(
        log_sources=None if lines is None else log_sources(lines),
        request_notes=None if counts is None else list(counts.notes),
        rules=inputs.rules,
        deployments=None if inputs.deployments is None else _deployments(inputs.deployments),
        slo=None if inputs.goals.slo is None else _objective(inputs.goals.slo),
        prices=None if prices is None else _prices(prices),
        left_out=left_out(inputs),
    )


def left_out(inputs: Inputs) -> list[str]:
    """Return the goals that no file can hold, because they have a mask, a function or a table."""
    slo, prices = inputs.goals
    found = {
        "slo": slo is not None and _objective(slo) is None,
        "prices": prices is not None and _prices(prices) is None,
    }
    return [name for name, is_left_out in found.items() if is_left_out]


def inputs_in(files: Mapping[str, bytes]) -> tuple[Inputs, tuple[str, ...]]:
    """Return the inputs in files, and the names of those that no file can hold; ValueError if they were damaged."""
    if not files:
        return NO_INPUTS, ()
    if strange := sorted(set(files) - {LINES, COUNTS, FACTS}):
        raise ValueError(f"expected {LINES}, {COUNTS} and {FACTS} as inputs of a report, found {strange[0]}")
    if FACTS not in files:
        raise ValueError(f"expected {FACTS} with the inputs of a report, found none")
    facts = facts_in(files[FACTS])
    for name, value, file in (("logs", facts.log_sources, LINES), ("requests", facts.request_notes, COUNTS)):
        if (value is None) != (file not in files):
            raise ValueError(f"expected {name} as a table and as facts about it, found one of both")
    found = Inputs.of(
        logs=None if facts.log_sources is None else lines_in(files[LINES], facts.log_sources),
        requests=None if facts.request_notes is None else counts_in(files[COUNTS], facts.request_notes),
        rules=facts.rules,
        deployments=None if facts.deployments is None else _frame(facts.deployments),
        slo=None if facts.slo is None else _arguments(facts.slo),
        prices=None if facts.prices is None else [_price(one) for one in facts.prices],
    )
    if found.goals.prices is not None:
        price_table(found.goals.prices)
    return found, tuple(facts.left_out)


def _deployments(frame: pd.DataFrame) -> list[Deployment]:
    """Return the rows of a table of deployments."""
    rows = frame[list(_DEPLOYMENT)].astype(object)
    rows = rows.where(rows.notna(), None)
    texts = [[None if one is None else str(one) for one in rows[name]] for name in _DEPLOYMENT[1:3]]
    names, times = rows["service_name"].map(str), rows["first_ns"].map(int)
    return [Deployment(*row) for row in zip(names, *texts, times, strict=True)]


def _frame(deployments: Sequence[Deployment]) -> pd.DataFrame:
    """Return deployments as a table."""
    rows = [[getattr(one, name) for name in _DEPLOYMENT] for one in deployments]
    return pd.DataFrame(rows, columns=list(_DEPLOYMENT), dtype=object)


def _objective(arguments: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return arguments of ``tk.slo`` as JSON has them; None if one has no such form."""
    found = {name: _plain(value) for name, value in arguments.items() if value is not None}
    return None if any(value is None for value in found.values()) else found


def _plain(value: Any) -> Any:
    """Return a number, a text or a list of alerts as JSON has them; None for anything else."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, list | tuple) and all(isinstance(one, BurnRule) for one in value):
        return [list(one) for one in value]
    return value if isinstance(value, int | float | str) else None


def _arguments(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments of ``tk.slo`` from JSON; ValueError for alerts that are none."""
    found = dict(stored)
    if _RULES in found:
        size = len(BurnRule._fields)
        if not isinstance(found[_RULES], list) or any(
            not isinstance(one, list) or len(one) != size for one in found[_RULES]
        ):
            raise ValueError(f"expected alerts of {size} values, found {found[_RULES]!r:.100}")
        found[_RULES] = tuple(BurnRule(*one) for one in found[_RULES])
    if wrong := [name for name, one in found.items() if name != _RULES and not isinstance(one, int | float | str)]:
        raise ValueError(f"expected a number or an expression for {wrong[0]} of slo, found {found[wrong[0]]!r:.100}")
    return found


def _prices(prices: Sequence[Price | str]) -> list[StatedPrice] | None:
    """Return prices, with those of named lists and files; None if one has a mask or function."""
    table = price_table(prices)
    if any(not isinstance(one.where, str) for one in table):
        return None
    return [StatedPrice(str(one.name), str(one.where), *map(float, one[2:])) for one in table]


def _price(stored: StatedPrice) -> Price:
    """Return a price."""
    return Price(**{name: getattr(stored, name) for name in Price._fields})
