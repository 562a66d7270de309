"""X-Ray sampling rules, read from a file or an account, with a linter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from tracekit.aws.reader import DENIED, Reader
from tracekit.aws.rules.checks import check
from tracekit.errors import MISSHAPEN, PullError
from tracekit.readable_tables import as_html
from tracekit.text import round_ratio
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


class Written(NamedTuple):
    """A rule as written in its source.

    Examples
    --------
    >>> Written("refund", {"FixedRate": 1.0}).is_default
    False
    """

    name: str
    body: dict[str, Any]
    modified_at: str | None = None
    is_default: bool = False
    manifest: Mapping[str, Any] = {}


@dataclass(frozen=True)
class SamplingRules(Rules):
    """X-Ray sampling rules in evaluation order.

    ``tk.sampling(traces, rules=...)`` and ``tk.plan_sampling(traces, ...)`` accept them.

    Parameters
    ----------
    head, tail, decision_wait_ns
        As in ``Rules``; X-Ray has no tail policies.
    form
        ``central`` (console and API) or ``local`` (the SDK's file).
    source
        File or account of the rules.
    written
        The rules as written in the source, in the same order.

    Examples
    --------
    >>> rules = sampling_rules({"version": 2, "default": {"fixed_target": 1, "rate": 0.05}})
    >>> rules
    SamplingRules(local: default 1/s + 5%)
    >>> len(rules.table)
    1
    """

    form: str = "central"
    source: str = ""
    written: tuple[Written, ...] = field(default=(), repr=False)

    @property
    def table(self) -> pd.DataFrame:
        """One row per rule in evaluation order: rule, priority, fixed_rate, reservoir_size and conditions."""
        rows = [
            (
                rule.name,
                written.body.get("Priority"),
                rule.rate,
                rule.quota,
                rule.service_name,
                rule.host,
                rule.http_request_method,
                rule.path,
                dict(written.body.get("Attributes") or written.body.get("attributes") or {}),
                written.modified_at,
            )
            for rule, written in zip(self.head, self.written, strict=True)
        ]
        return pd.DataFrame(rows, columns=list(_COLUMNS))

    def lint(
        self, traces: TraceSet | None = None, *, statistics: Sequence[Mapping[str, Any]] | None = None
    ) -> Findings:
        """Return the problems of these rules.

        Parameters
        ----------
        traces
            Traces whose recorded rules are compared with the matching ones, and whose traffic with the reservoirs.
        statistics
            ``GetSamplingStatisticSummaries`` of a day, to find rules without traffic or with too little.

        Returns
        -------
        Findings
            One per problem; a single one of severity info if there is none.

        Examples
        --------
        >>> rule = {"description": "errors", "http_method": "*", "url_path": "*", "fixed_target": 0, "rate": 1.0}
        >>> rules = sampling_rules({"version": 2, "rules": [rule], "default": {"fixed_target": 1, "rate": 0.05}})
        >>> print(rules.lint()[0].headline)
        Rule errors: the SDK rejects the whole file, because rules of version 2 need host.
        """
        return check(self, traces, statistics)

    def __repr__(self) -> str:
        rules = ", ".join(f"{rule.name} {rule.quota}/s + {round_ratio(rule.rate)}" for rule in self.head)
        return f"SamplingRules({self.form}: {rules or 'none'})"

    def _repr_html_(self) -> str:
        return as_html(self.table)


def sampling_rules(source: Any = None, *, region: str | None = None, profile: str | None = None) -> SamplingRules:
    """Read the sampling rules of X-Ray.

    Parameters
    ----------
    source
        A file: the output of ``aws xray get-sampling-rules``, or the SDK's local manifest (version 1 or 2); its
        content; or a ``boto3.Session`` to read the active rules; by default a new session.
    region, profile
        As in boto3.

    Returns
    -------
    SamplingRules
        In evaluation order: ``.table``, ``.lint()``.

    Raises
    ------
    ValueError
        Invalid rules; the message contains the rule and the field.
    PullError
        The call failed.

    Notes
    -----
    Only ``GetSamplingRules`` is called; ``GetSamplingTargets`` would write statistics.  Source: the X-Ray API
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
    return _checked(source, "the given rules")


def _checked(content: Any, source: str) -> SamplingRules:
    """Return the rules of a document; ValueError for a malformed one."""
    try:
        json.dumps(content, default=str, ensure_ascii=False).encode()
        return _of_content(content, source)
    except UnicodeEncodeError as error:
        raise ValueError(f"expected text in {source}, found a lone surrogate: {error!s:.120}") from error
    except ValueError:
        raise
    except MISSHAPEN as error:
        raise ValueError(f"expected sampling rules in {source}, found a malformed value: {error!s:.120}") from error


def _of_account(reader: Reader) -> SamplingRules:
    """Return the active rules of an account."""
    answer = reader.call("xray:GetSamplingRules")
    if not answer.is_known:
        reason = "permission denied: allow xray:GetSamplingRules" if answer.failure == DENIED else answer.failure
        raise PullError(
            f"expected the sampling rules of {reader.region}, found none: {reason}", operation="GetSamplingRules"
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
        raise ValueError(f"expected JSON in {path}, found other text: {error}") from error


def _of_content(content: Any, source: str) -> SamplingRules:
    """Return the rules in a document."""
    if isinstance(content, Mapping) and ("rules" in content or "default" in content) and "version" in content:
        return _local(content, source)
    records = content.get("SamplingRuleRecords") if isinstance(content, Mapping) else content
    if isinstance(content, Mapping) and ("SamplingRule" in content or "FixedRate" in content):
        records = [content]
    if not isinstance(records, (list, tuple)):
        found = ", ".join(map(str, list(content)[:5])) if isinstance(content, Mapping) else repr(content)
        message = f"expected SamplingRuleRecords, a list of rules, or a manifest with version and rules in {source}"
        raise ValueError(f"{message}, found {found:.100}")  # noqa: TRY004 - a document, not an argument
    written = [_written(record, number) for number, record in enumerate(records, 1)]
    ordered = sorted(written, key=lambda one: (one.body.get("Priority", _LAST), one.name))
    return SamplingRules(
        read_rules({"SamplingRuleRecords": list(records)}).head, form="central", source=source, written=tuple(ordered)
    )


def _written(record: Any, number: int) -> Written:
    """Return a rule as written in an API answer."""
    body = record.get("SamplingRule", record) if isinstance(record, Mapping) else {}
    body = body if isinstance(body, Mapping) else {}
    modified = record.get("ModifiedAt") if isinstance(record, Mapping) else None
    return Written(str(body.get("RuleName", f"rule {number}")), dict(body), None if modified is None else str(modified))


def _local(manifest: Mapping[str, Any], source: str) -> SamplingRules:
    """Return the rules of a local manifest."""
    bodies = [*(manifest.get("rules") or ()), manifest.get("default") or {}]
    default = {} if bodies[-1] else {"default": {"fixed_target": 1, "rate": 0.05}}  # the SDK's default
    head = read_rules({**manifest, "rules": bodies[:-1], **default}).head
    written = [Written(rule.name, dict(body)) for rule, body in zip(head, bodies, strict=True)]
    written[-1] = written[-1]._replace(is_default=True, manifest={n: v for n, v in manifest.items() if n != "rules"})
    return SamplingRules(head, form="local", source=source, written=tuple(written))
