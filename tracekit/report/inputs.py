"""What a report is made of beside traces: log lines, sampling rules, request counts, deployments, and goals."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pandas as pd

from tracekit.analysis.deployments import given_deployments, renamed
from tracekit.loading.logs.read import read_lines
from tracekit.loading.logs.table import LogLines
from tracekit.redaction.keys import context_of
from tracekit.report.goals import NO_GOALS, Goals
from tracekit.weights.counts import DIMENSIONS, Counts, read_counts
from tracekit.weights.rule_formats import sampling_rules
from tracekit.weights.rules import FIELDS, HeadRule, Rules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.report.redaction import Outgoing

_KEYS: Final = {"service_name": "service.name", "host": "host.name", "level": "log.level"}
_QUOTED: Final = re.compile(r"(?s)'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")


class Inputs(NamedTuple):
    """What was given beside traces; None for what was not.

    Parameters
    ----------
    logs
        Log lines of the traces and of the baseline; before ``read`` any source of them.
    rules
        Sampling rules.
    requests
        Request counts.
    deployments
        Deployments, in the columns of ``analysis.deployments.deployments_of``.
    goals
        Objective and price table.
    """

    logs: Any = None
    rules: Rules | None = None
    requests: Counts | None = None
    deployments: pd.DataFrame | None = None
    goals: Goals = NO_GOALS

    @classmethod
    def of(
        cls,
        *,
        logs: Any = None,
        rules: Any = None,
        requests: pd.DataFrame | Counts | None = None,
        deployments: pd.DataFrame | Mapping[str, Any] | None = None,
        slo: Any = None,
        prices: Any = None,
    ) -> Inputs:
        """Return inputs of which all but log lines are read; ValueError or TypeError for what cannot be used."""
        return cls(
            logs,
            None if rules is None else sampling_rules(rules),
            requests if requests is None or isinstance(requests, Counts) else read_counts(requests),
            None if deployments is None else given_deployments(deployments),
            Goals.of(slo, prices),
        )

    def read(self) -> Inputs:
        """Return the same with log lines that are read; LoadError if no source of them can be."""
        is_read = self.logs is None or isinstance(self.logs, LogLines)
        return self if is_read else self._replace(logs=read_lines(self.logs))

    def redacted(self, outgoing: Outgoing) -> Inputs:
        """Return the inputs as they may leave: claims are computed from them.

        Expressions of goals, and patterns of rules, lose the same values as the traces that they are compared with.
        The salt of a tail policy stays: without it no decision can be computed.
        """
        return Inputs(
            None if self.logs is None else _lines(self.read().logs, outgoing),
            None if self.rules is None else _rules(self.rules, outgoing),
            None if self.requests is None else _counts(self.requests, outgoing),
            renamed(self.deployments, outgoing.texts),
            _goals(self.goals, outgoing),
        )

    @property
    def given(self) -> dict[str, Any]:
        """What was given, by the name of its argument."""
        named = {name: value for name, value in self._asdict().items() if name != "goals"} | self.goals._asdict()
        return {name: value for name, value in named.items() if value is not None}


NO_INPUTS: Final = Inputs()


def _lines(lines: LogLines, outgoing: Outgoing) -> LogLines:
    """Return log lines as they may leave; what is recognised in one line is removed from all."""
    codes, messages = pd.factorize(lines.frame["message"])
    known = len(outgoing.values)
    found = outgoing.texts(messages.tolist())
    frame = lines.frame.copy()
    for name, key in _KEYS.items():
        labels = [str(label) for label in frame[name].cat.categories]
        new = dict(zip(labels, outgoing.texts(labels, context_of(key)), strict=True))
        if any(old != text for old, text in new.items()):
            frame[name] = _first_used(frame[name].map(new))
    if len(outgoing.values) > known:
        found = outgoing.texts(messages.tolist())
    frame["message"] = pd.Series(found, dtype=object).to_numpy()[codes] if len(found) else frame["message"]
    return replace(lines, frame=frame, sources=outgoing.frame(lines.sources), issues=outgoing.frame(lines.issues))


def _first_used(column: pd.Series) -> pd.Categorical:
    """Return texts as a categorical in order of first use, as they are read."""
    codes, labels = pd.factorize(column.astype(object))
    return pd.Categorical.from_codes(codes, pd.Index(labels, dtype=object))


def _rules(rules: Rules, outgoing: Outgoing) -> Rules:
    """Return rules with names and patterns as they may leave."""
    tail = tuple(replace(policy, name=outgoing.text(policy.name)) for policy in rules.tail)
    return replace(rules, head=tuple(_head(rule, outgoing) for rule in rules.head), tail=tail)


def _head(rule: HeadRule, outgoing: Outgoing) -> HeadRule:
    """Return a rule with its texts as they may leave."""
    names = ("name", *FIELDS)
    texts: dict[str, Any] = dict(zip(names, outgoing.texts([getattr(rule, name) for name in names]), strict=True))
    attributes = tuple(
        (outgoing.text(key), outgoing.texts([value], context_of(key))[0]) for key, value in rule.attributes
    )
    return replace(rule, attributes=attributes, **texts)


def _counts(counts: Counts, outgoing: Outgoing) -> Counts:
    """Return counts with their labels as they may leave; strata that become equal are one."""
    frames = []
    for frame in (counts.frame, counts.by_balancer):
        new = frame.copy()
        for name in [name for name in DIMENSIONS if name in frame]:
            codes, labels = pd.factorize(frame[name])
            texts = outgoing.texts(labels.tolist(), context_of(name))
            if texts != labels.tolist():
                new[name] = pd.Series([*texts, None], dtype=object).to_numpy()[codes]
        frames.append(new if new.equals(frame) else _summed(new))
    return replace(counts, frame=frames[0], by_balancer=frames[1])


def _summed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return counts with one row per stratum and window."""
    keys = [name for name in frame.columns if name != "count"]
    return frame.groupby(keys, dropna=False, sort=False)["count"].sum().reset_index()


def _goals(goals: Goals, outgoing: Outgoing) -> Goals:
    """Return goals with names and expressions as they may leave."""
    slo = None if goals.slo is None else {name: _expression(value, outgoing) for name, value in goals.slo.items()}
    prices = None if goals.prices is None else [_price(price, outgoing) for price in goals.prices]
    return Goals(slo, prices)


def _price(price: Any, outgoing: Outgoing) -> Any:
    """Return a price with its name and expression as they may leave; the name of a list or file stays."""
    if isinstance(price, str):
        return price
    return price._replace(name=outgoing.text(price.name), where=_expression(price.where, outgoing))


def _expression(value: Any, outgoing: Outgoing) -> Any:
    """Return an expression with each quoted text as it may leave, and anything else unchanged."""
    if not isinstance(value, str):
        return value
    return _QUOTED.sub(lambda one: f"{one[0][0]}{outgoing.text(one[0][1:-1])}{one[0][-1]}", value)
