"""Sampling rules of a configuration, in a common form.

``HeadRule`` is a head-sampling rule (X-Ray rules, Jaeger strategies, a fixed rate), ``TailPolicy`` a tail-sampling
policy (the collector). ``rule_formats.sampling_rules`` reads them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tracekit.wildcards import compiled

ALWAYS, NEVER_KNOWN = 1.0, math.nan
FIELDS = ("service_name", "http_request_method", "path", "host")


@dataclass(frozen=True)
class HeadRule:
    """A head-sampling rule.

    Parameters
    ----------
    name
        Name of the rule.
    rate
        Fraction kept of the requests beyond the reservoir; NaN if it is not fixed (limit per second).
    quota
        Reservoir: requests per second that are always kept; 0 for none.
    is_shared
        Whether the quota is shared by all processes (X-Ray's central rules) or each has its own.
    service_name, http_request_method, path, host
        Case-insensitive globs with ``*`` and ``?``.
    attributes
        Other conditions of the rule; traces do not show whether they matched.
    max_rate
        Maximum rate of a boost (X-Ray's ``SamplingRateBoost``); 0 without one.

    Examples
    --------
    >>> rule = HeadRule("checkout", 0.05, quota=1, path="/checkout*")
    >>> rule.matches({"path": "/checkout/pay", "service_name": None}), rule.matches({"path": "/cart"})
    (True, False)
    >>> rule.matches({"service_name": "shop"}) is None
    True
    """

    name: str
    rate: float
    quota: int = 0
    is_shared: bool = False
    service_name: str = "*"
    http_request_method: str = "*"
    path: str = "*"
    host: str = "*"
    attributes: tuple[tuple[str, str], ...] = ()
    max_rate: float = 0.0

    @property
    def is_boosted(self) -> bool:
        """Whether the rate can be boosted temporarily."""
        return self.max_rate > 0

    @property
    def has_rate(self) -> bool:
        """Whether the rate is fixed and known."""
        return not math.isnan(self.rate) and not self.is_boosted

    def matches(self, request: Mapping[str, str | None]) -> bool | None:
        """Return whether a request matches; None if a required field is unknown.

        Parameters
        ----------
        request
            Known fields: ``service_name``, ``http_request_method``, ``path``, ``host``.

        Returns
        -------
        bool or None
            False as soon as one known field differs.
        """
        check_request(request)
        unknown = bool(self.attributes)
        for field in FIELDS:
            pattern, text = getattr(self, field), request.get(field)
            if pattern == "*":
                continue
            if text is None:
                unknown = True
            elif not compiled(pattern, ignore_case=True).fullmatch(text):
                return False
        return None if unknown else True


def check_request(request: object) -> None:
    """Raise TypeError with the line that works, unless a value is a mapping of request fields."""
    if not isinstance(request, Mapping):
        message = f"expected a mapping of {', '.join(FIELDS)}, found {type(request).__name__}"
        advice = "for all requests of traces: traces.with_weights(rules), or tk.sampling(traces, rules=rules)"
        raise TypeError(f"{message}; {advice}")


@dataclass(frozen=True)
class TailPolicy:
    """One policy of the collector's ``tail_sampling``.

    Parameters
    ----------
    name
        Configured name.
    kind
        ``status_code``, ``latency``, ``probabilistic``, ``always_sample``, ...
    probability
        1 for a deterministic policy, the rate of a probabilistic one, NaN if unknown (``rate_limiting``).
    slower_than_ns
        Of ``latency``: keeps traces that take at least so long, ...
    faster_than_ns
        ... and, where given, at most so long.
    salt
        Of ``probabilistic``.

    Examples
    --------
    >>> TailPolicy("slow", "latency", slower_than_ns=500_000_000).is_observable
    True
    >>> TailPolicy("limit", "rate_limiting", probability=float("nan")).is_observable
    False
    """

    name: str
    kind: str
    probability: float = ALWAYS
    slower_than_ns: int = 0
    faster_than_ns: int | None = None
    salt: str = "default-hash-seed"

    @property
    def is_observable(self) -> bool:
        """Whether the decision of the policy can be derived from a trace."""
        return self.kind in {"status_code", "latency", "probabilistic", "always_sample"}


@dataclass(frozen=True)
class Rules:
    """A sampling configuration.

    Parameters
    ----------
    head
        In order of evaluation.
    tail
        Policies; a trace is kept if any of them matches.
    decision_wait_ns
        How long the collector waits for the spans of a trace; None if not configured.

    Examples
    --------
    >>> rules = Rules((HeadRule("refund", 1.0, path="/refund"), HeadRule("Default", 0.05, quota=1)))
    >>> rules.match({"path": "/refund"}).name, rules.match({"path": "/"}).name
    ('refund', 'Default')
    >>> rules.match({}) is None
    True
    """

    head: tuple[HeadRule, ...] = ()
    tail: tuple[TailPolicy, ...] = ()
    decision_wait_ns: int | None = None

    def match(self, request: Mapping[str, str | None]) -> HeadRule | None:
        """Return the rule that applies to a request; None if none matches or it depends on an unknown field."""
        check_request(request)
        for rule in self.head:
            if (found := rule.matches(request)) is not False:
                return rule if found else None
        return None

    @property
    def only(self) -> HeadRule | None:
        """The head rule, if it is the only one and has no conditions."""
        return self.head[0] if len(self.head) == 1 and self.head[0].matches({}) else None

    @property
    def base_rate(self) -> float | None:
        """The minimum sampling probability of every request, if one is configured."""
        drawn = [policy.probability for policy in self.tail if policy.kind == "probabilistic"]
        if self.tail:
            return max(drawn) if drawn and not self.head else None
        return self.only.rate if self.only is not None and self.only.has_rate else None
