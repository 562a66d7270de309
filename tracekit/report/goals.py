"""Sections on what the reader asks for: a service level objective, and what requests cost."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracekit.analysis.cost.compute import cost
from tracekit.analysis.cost.prices import price_table
from tracekit.analysis.slo.compute import slo
from tracekit.checks.figures.goals import cost_figure, objective_figure
from tracekit.findings import Findings
from tracekit.report.leaving import redacted_findings
from tracekit.traces import TraceSet
from tracekit.views.plot import plot

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from tracekit.analysis.cost.prices import Price
    from tracekit.analysis.cost.result import Cost
    from tracekit.analysis.slo.result import Slo
    from tracekit.findings import Finding
    from tracekit.parts import Parts
    from tracekit.report.redaction import Outgoing
    from tracekit.views.markup import Markup

_SAVINGS: Final = {"repeated": "Calls in a row", "cacheable": "Cacheable reads"}


class Goals(NamedTuple):
    """What the reader of a report asks for.

    Parameters
    ----------
    slo
        Arguments of ``tk.slo``; None without an objective.
    prices
        Price table of ``tk.cost``; None without prices.
    """

    slo: Mapping[str, Any] | None = None
    prices: Sequence[Price | str] | None = None

    @classmethod
    def of(cls, objective: float | Mapping[str, Any] | None, prices: Sequence[Price | str] | None) -> Goals:
        """Return the goals; ValueError for arguments that ``tk.slo`` does not have."""
        if objective is None:
            return cls(None, prices)
        arguments = dict(objective) if isinstance(objective, Mapping) else {"objective": objective}
        known = [name for name, one in inspect.signature(slo).parameters.items() if one.kind == one.KEYWORD_ONLY]
        if unknown := sorted(set(arguments) - set(known)):
            message = f"expected slo= as an objective or arguments of tk.slo ({', '.join(known)})"
            raise ValueError(f"{message}, found {', '.join(map(repr, unknown))}")
        return cls(arguments, prices)


NO_GOALS: Final = Goals()


class Goal(NamedTuple):
    """A section: what to see in its chart (None for no chart), tables by their heading, and the code of all."""

    figure: Finding
    picture: Markup | None
    tables: dict[str, pd.DataFrame]
    code: str

    def redacted(self, outgoing: Outgoing) -> Goal:
        """Return the section as it may leave."""
        picture = None if self.picture is None else outgoing.markup(self.picture)
        tables = {title: outgoing.frame(table) for title, table in self.tables.items()}
        [figure] = redacted_findings(Findings([self.figure]), outgoing)
        return Goal(figure, picture, tables, outgoing.text(self.code))


def goals_shown(traces: TraceSet | Parts, goals: Goals) -> dict[str, Goal]:
    """Return the sections by id, each where there is something to show."""
    found: dict[str, Goal] = {}
    if goals.slo is None and goals.prices is None:
        return found
    is_any = len(traces) if isinstance(traces, TraceSet) else traces.period_ns
    if goals.slo is not None and is_any:
        found["slo"] = _slo_shown(slo(traces, **goals.slo), goals.slo)
    if goals.prices is not None and is_any:
        result = cost(traces, goals.prices)
        if result.table["usd"].sum() > 0:
            found["cost"] = _cost_shown(result, goals.prices)
    return found


def _slo_shown(found: Slo, arguments: Mapping[str, Any]) -> Goal:
    """Return the section of an objective; without weights it says what would make the indicator known."""
    code = f"goal = tk.slo(traces, {_arguments(arguments)})\ntk.plot(goal)\ngoal.alerts"
    figure = objective_figure(found, code)
    if not found.is_assessable:
        return Goal(figure, None, {}, code)
    fired = found.alerts[found.alerts["fired_s"] > 0]
    tables = {"Burn-rate alerts that fired": fired} if len(fired) else {}
    return Goal(figure, plot(found).picture() if found.bad_count else None, tables, code)


def _cost_shown(found: Cost, prices: Sequence[Price | str]) -> Goal:
    """Return the section of costs, with the savings that there are."""
    tables: dict[str, pd.DataFrame] = {"Prices": found.items}
    tables |= {title: getattr(found, name) for name, title in _SAVINGS.items() if len(getattr(found, name))}
    code = f"spent = tk.cost(traces, [{', '.join(map(_price, price_table(prices)))}])\ntk.plot(spent)\nspent.items"
    named = {
        title: table.rename(columns={"usd": "cost_usd", "usd_ratio": "cost_ratio"}) for title, table in tables.items()
    }
    return Goal(cost_figure(found, code), plot(found).picture(), named, code)


def _arguments(arguments: Mapping[str, Any]) -> str:
    """Return keyword arguments as code; ``...`` for what has no short code."""
    return ", ".join(f"{name}={_value(value)}" for name, value in arguments.items())


def _price(price: Price) -> str:
    """Return a price as code; those of named lists and files, too, as these may change."""
    rates = {name: float(rate) for name, rate in price._asdict().items() if name.startswith("usd_") and rate}
    rates = {name: int(rate) if rate.is_integer() else rate for name, rate in rates.items()}
    return f"tk.Price({price.name!r}, {_value(price.where)}, {_arguments(rates)})"


def _value(value: object) -> str:
    """Return a number or text as code; ``(...)`` for a mask, function or table."""
    return repr(value) if isinstance(value, int | float | str) else "(...)"
