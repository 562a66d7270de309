"""X-Ray's sampling rules: read from a file or an account, checked, and said what they cannot do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tracekit.aws.audit.answers import DENIED
from tracekit.aws.audit.calls import Reader
from tracekit.aws.rules.checks import check
from tracekit.aws.rules.written import Written
from tracekit.errors import MISSHAPEN, PullError
from tracekit.weights.rule_formats import sampling_rules as read_rules
from tracekit.weights.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.findings import Findings
    from tracekit.traces import TraceSet

_COLUMNS = (
    "rule",
    "priority",
    "fixed_rate",
    "reservoir_size",
    "service_name",
    "host",
    "http_method",
    "url_path",
    "attributes",
    "modified_at",
)
_LAST = 10_000


@dataclass(frozen=True)
class SamplingRules(Rules):
    """Sampling rules of X-Ray, in the order in which they are tried.

    ``tk.sampling(traces, rules=...)`` and ``tk.plan_sampling(traces, ...)`` take them as they are.

    Parameters
    ----------
    head, tail, decision_wait_ns
        As ``Rules`` has them; X-Ray has no tail policies.
    form
        ``central`` (console and API) or ``local`` (the SDK's file).
    source
        Where they came from.
    written
        As they were written, in the same order.

    Examples
    --------
    >>> rules = sampling_rules({"version": 2, "default": {"fixed_target": 1, "rate": 0.05}})
    >>> rules
    SamplingRules(local: default 1/s + 5 %)
    >>> len(rules.table)
    1
    """

    form: str = "central"
    source: str = ""
    written: tuple[Written, ...] = field(default=(), repr=False)

    @property
    def table(self) -> pd.DataFrame:
        """One row a rule in the order tried: rule, priority, fixed_rate, reservoir_size and what it asks for."""
        rows = [
            (
                rule.name,
                told.body.get("Priority"),
                rule.rate,
                rule.quota,
                rule.service_name,
                rule.host,
                rule.http_request_method,
                rule.path,
                dict(told.body.get("Attributes") or told.body.get("attributes") or {}),
                told.modified_at,
            )
            for rule, told in zip(self.head, self.written, strict=True)
        ]
        return pd.DataFrame(rows, columns=list(_COLUMNS))

    def lint(
        self, traces: TraceSet | None = None, *, statistics: Sequence[Mapping[str, Any]] | None = None
    ) -> Findings:
        """Say what these rules cannot do that their author may have meant.

        Parameters
        ----------
        traces
            Whose recorded rules are compared with those that should have decided, and whose requests with reservoirs.
        statistics
            ``GetSamplingStatisticSummaries``, kept for a day: rules that no client reported, or too few requests.

        Returns
        -------
        Findings
            One for every fault; a single one of severity info where there is none.

        Examples
        --------
        >>> rule = {"description": "errors", "http_method": "*", "url_path": "*", "fixed_target": 0, "rate": 1.0}
        >>> rules = sampling_rules({"version": 2, "rules": [rule], "default": {"fixed_target": 1, "rate": 0.05}})
        >>> print(rules.lint()[0].headline)
        Rule errors: the SDK rejects the whole file, because rules of version 2 need host.
        """
        return check(self, traces, statistics)

    def __repr__(self) -> str:
        rules = ", ".join(f"{rule.name} {rule.quota}/s + {100 * rule.rate:.3g} %" for rule in self.head)
        return f"SamplingRules({self.form}: {rules or 'none'})"

    def _repr_html_(self) -> str:
        return self.table.to_html(index=False, na_rep="")


def sampling_rules(source: Any = None, *, region: str | None = None, profile: str | None = None) -> SamplingRules:
    """Read the sampling rules of X-Ray.

    Parameters
    ----------
    source
        A file of either form: the answer of ``aws xray get-sampling-rules``, or the SDK's local manifest (version 1 or
        2); its content; a ``boto3.Session``, to read those in force; by default a new session.
    region, profile
        As boto3 takes them.

    Returns
    -------
    SamplingRules
        In the order in which they are tried: ``.table``, ``.lint()``.

    Raises
    ------
    ValueError
        Something that is no set of rules; the rule and the field are named.
    PullError
        X-Ray does not give them.

    Notes
    -----
    Only ``GetSamplingRules`` is called; ``GetSamplingTargets`` would report statistics.  Source: the X-Ray API
    reference; ``aws-xray-sdk-python``, ``local/sampling_rule.py``.

    Examples
    --------
    >>> rule = {"RuleName": "refund", "Priority": 1, "FixedRate": 1.0, "ReservoirSize": 0, "URLPath": "/refund*"}
    >>> default = {"RuleName": "Default", "Priority": 10000, "FixedRate": 0.05, "ReservoirSize": 1}
    >>> rules = sampling_rules([default, rule])
    >>> rules.table[["rule", "priority", "fixed_rate"]].to_dict("list")
    {'rule': ['refund', 'Default'], 'priority': [1, 10000], 'fixed_rate': [1.0, 0.05]}
    """
    if isinstance(source, SamplingRules):
        return source
    if source is None or hasattr(source, "client"):
        return _of_account(Reader(source, region=region, profile=profile))
    if isinstance(source, (str, Path)):
        return _checked(_content(Path(source)), str(source))
    return _checked(source, "the rules given")


def _checked(content: Any, source: str) -> SamplingRules:
    """Return the rules of a document; ValueError for one of another shape."""
    try:
        json.dumps(content, default=str, ensure_ascii=False).encode()
        return _of_content(content, source)
    except UnicodeEncodeError as error:
        raise ValueError(f"expected text in {source}, found half a character: {error!s:.120}") from error
    except ValueError:
        raise
    except MISSHAPEN as error:
        raise ValueError(
            f"expected sampling rules in {source}, found a value of another shape: {error!s:.120}"
        ) from error


def _of_account(reader: Reader) -> SamplingRules:
    """Return the rules in force."""
    answer = reader.call("xray:GetSamplingRules")
    if not answer.is_known:
        why = "permission denied: allow xray:GetSamplingRules" if answer.failure == DENIED else answer.failure
        raise PullError(
            f"expected the sampling rules of {reader.region}, found none ({why})", operation="GetSamplingRules"
        )
    return _checked(answer.content, f"X-Ray in {reader.region}")


def _content(path: Path) -> Any:
    """Return the JSON of a file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"expected a file of sampling rules, found none at {path}: {error.strerror}"
        raise ValueError(message) from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"expected JSON in {path}, found text that is none: {error}") from error


def _of_content(content: Any, source: str) -> SamplingRules:
    """Return the rules that a document holds."""
    if isinstance(content, Mapping) and ("rules" in content or "default" in content) and "version" in content:
        return _local(content, source)
    records = content.get("SamplingRuleRecords") if isinstance(content, Mapping) else content
    if isinstance(content, Mapping) and ("SamplingRule" in content or "FixedRate" in content):
        records = [content]
    if not isinstance(records, (list, tuple)):
        found = ", ".join(map(str, list(content)[:5])) if isinstance(content, Mapping) else repr(content)
        message = f"expected SamplingRuleRecords, a list of rules, or a manifest with version and rules in {source}"
        raise ValueError(f"{message}, found {found:.100}")  # noqa: TRY004 - a document, not an argument
    told = [_written(record, number) for number, record in enumerate(records, 1)]
    ordered = sorted(told, key=lambda one: (one.body.get("Priority", _LAST), one.name))
    return SamplingRules(
        read_rules({"SamplingRuleRecords": list(records)}).head, form="central", source=source, written=tuple(ordered)
    )


def _written(record: Any, number: int) -> Written:
    """Return a rule of the API as it was written."""
    body = record.get("SamplingRule", record) if isinstance(record, Mapping) else {}
    body = body if isinstance(body, Mapping) else {}
    modified = record.get("ModifiedAt") if isinstance(record, Mapping) else None
    return Written(str(body.get("RuleName", f"rule {number}")), dict(body), None if modified is None else str(modified))


def _local(manifest: Mapping[str, Any], source: str) -> SamplingRules:
    """Return the rules of a local manifest."""
    bodies = [*(manifest.get("rules") or ()), manifest.get("default") or {}]
    standing_in = {} if bodies[-1] else {"default": {"fixed_target": 1, "rate": 0.05}}  # what SDKs do without a file
    head = read_rules({**manifest, "rules": bodies[:-1], **standing_in}).head
    told = [Written(rule.name, dict(body)) for rule, body in zip(head, bodies, strict=True)]
    told[-1] = told[-1]._replace(is_default=True, manifest={n: v for n, v in manifest.items() if n != "rules"})
    return SamplingRules(head, form="local", source=source, written=tuple(told))
