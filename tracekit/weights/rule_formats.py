"""Sampling rules in the forms that people have: X-Ray (central, local), collector, Jaeger strategies, a plain rate."""

from __future__ import annotations

import importlib
import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tracekit.errors import MISSHAPEN
from tracekit.weights.rules import NEVER_KNOWN, HeadRule, Rules, TailPolicy

_UNITS_NS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DEFAULT_WAIT = "30s"
_MOST = 2.0**53
_LONGEST = 60  # characters of a duration
_FORMS = (
    "an X-Ray rule list (SamplingRuleRecords, or version and rules), a collector configuration (processors),"
    " Jaeger strategies (default_strategy) or a rate between 0 and 1"
)


def sampling_rules(source: Any) -> Rules:
    """Return the sampling rules of a configuration."""
    if isinstance(source, Rules):
        return source
    return _of_content(_read(Path(source)) if isinstance(source, (str, Path)) else source)


def _of_content(source: Any) -> Rules:
    """Return the rules of a content, which is never a path: a text in a file names nothing to be opened."""
    if isinstance(source, (int, float)) and not isinstance(source, bool):
        return Rules((HeadRule("fixed rate", _share(source, "the rate", "the rules")),))
    if isinstance(source, (list, tuple)):
        return _checked(_central, list(source))
    if isinstance(source, Mapping):
        for key, read in _READERS.items():
            if key in source:
                return _checked(read, source)
    found = f"a mapping with {', '.join(map(str, list(source)[:5]))}" if isinstance(source, Mapping) else repr(source)
    raise ValueError(f"expected {_FORMS}, found {found:.120}")


def _checked(read: Callable[[Any], Rules], content: Any) -> Rules:
    """Return the rules of a content; a rule left out would change what the others decide, so an odd one is refused."""
    try:
        return read(content)
    except ValueError:
        raise
    except MISSHAPEN as error:
        raise ValueError(f"expected {_FORMS}, found a value of another shape: {error!s:.120}") from error


def _read(path: Path) -> Any:
    """Return the content of a file of rules."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"expected a file of sampling rules, found none at {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"expected JSON or YAML in {path.name}, found bytes that are no text: {error}") from error
    if path.suffix.lower() in {".yaml", ".yml"}:
        try:
            yaml = importlib.import_module("yaml")
        except ImportError as error:
            message = f"expected PyYAML to read {path.name}, found none; install pyyaml, or give the file as JSON"
            raise ValueError(message) from error
        try:
            return yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ValueError(f"expected YAML in {path.name}, found text that is none: {error}") from error
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"expected JSON in {path.name}, found text that is none: {error}") from error


def _central(records: list[Any]) -> Rules:
    """Return X-Ray's central rules, by priority and then name."""
    rules = []
    for number, record in enumerate(records, 1):
        body = record.get("SamplingRule", record) if isinstance(record, Mapping) else None
        if not isinstance(body, Mapping) or "FixedRate" not in body:
            raise ValueError(f"expected a sampling rule with FixedRate as rule {number}, found {record!r:.100}")
        name = str(body.get("RuleName", f"rule {number}"))
        where = f"rule {number} ({name})"
        rate = _share(body["FixedRate"], "FixedRate", where)
        attributes = _mapping(body.get("Attributes") or {}, f"Attributes by name in {where}")
        asks = {key: body.get(key) for key in ("ResourceARN", "ServiceType") if body.get(key, "*") != "*"}
        rule = HeadRule(
            name,
            rate,
            _whole(body.get("ReservoirSize", 0), "ReservoirSize", where),
            is_shared=True,
            service_name=str(body.get("ServiceName", "*")),
            http_request_method=str(body.get("HTTPMethod", "*")),
            path=str(body.get("URLPath", "*")),
            host=str(body.get("Host", "*")),
            attributes=tuple((str(k), str(v)) for k, v in (asks | dict(attributes)).items()),
            max_rate=_boost(body.get("SamplingRateBoost"), rate, where),
        )
        rules.append((_whole(body.get("Priority", 10_000), "Priority", where), name, rule))
    return Rules(tuple(rule for _, _, rule in sorted(rules, key=lambda entry: entry[:2])))


def _boost(body: Any, rate: float, where: str) -> float:
    """Return how far a boost may raise the rate of a rule, 0 without one."""
    if not body:
        return 0.0
    if not isinstance(body, Mapping) or "MaxRate" not in body:
        raise ValueError(f"expected SamplingRateBoost with MaxRate in {where}, found {body!r:.100}")
    most = _share(body["MaxRate"], "MaxRate", where)
    if most < rate:
        raise ValueError(f"expected MaxRate of {where} no lower than its FixedRate {rate:g}, found {most:g}")
    return most


def _local(manifest: Mapping[str, Any]) -> Rules:
    """Return the rules of a local X-Ray manifest; the classic samplers ignore ``attributes``."""
    bodies = [
        *_list(manifest.get("rules"), "rules of the manifest"),
        manifest.get("default", {"fixed_target": 1, "rate": 0.05}),
    ]
    rules = []
    for number, body in enumerate(bodies, 1):
        if not isinstance(body, Mapping) or "rate" not in body:
            raise ValueError(f"expected a rule with a rate as rule {number} of the manifest, found {body!r:.100}")
        is_default = number == len(bodies)
        _mapping(body.get("attributes") or {}, f"attributes by name in rule {number} of the manifest")
        name = "default" if is_default else str(body.get("description", f"rule {number}"))
        rule = HeadRule(
            name,
            _share(body["rate"], "rate", f"rule {number} ({name})"),
            _whole(body.get("fixed_target", 0), "fixed_target", f"rule {number} ({name})"),
            http_request_method="*" if is_default else str(body.get("http_method", "*")),
            path="*" if is_default else str(body.get("url_path", "*")),
            host="*" if is_default else str(body.get("host", body.get("service_name", "*"))),
        )
        rules.append(rule)
    return Rules(tuple(rules))


def _collector(config: Mapping[str, Any]) -> Rules:
    """Return the policies and the fixed rate of a collector's processors; names such as ``tail_sampling/web`` count."""
    head: list[HeadRule] = []
    tail: list[TailPolicy] = []
    wait: int | None = None
    processors = _mapping(config["processors"], "processors by name")
    for name, body in processors.items():
        kind = str(name).partition("/")[0]
        settings = _mapping(body or {}, f"the settings of processor {name}")
        if kind == "tail_sampling":
            tail += [
                _policy(policy, n) for n, policy in enumerate(_list(settings.get("policies"), f"policies of {name}"), 1)
            ]
            wait = _duration_ns(settings.get("decision_wait", _DEFAULT_WAIT))
        elif kind == "probabilistic_sampler":
            percent = settings.get("sampling_percentage", 0)
            head.append(HeadRule(str(name), _percentage(percent, str(name))))
    if not head and not tail:
        names = ", ".join(map(str, processors)) or "none"
        raise ValueError(f"expected tail_sampling with policies or probabilistic_sampler, found {names}")
    return Rules(tuple(head), tuple(tail), wait)


def _policy(policy: Any, number: int) -> TailPolicy:
    """Return one tail policy."""
    if not isinstance(policy, Mapping) or "type" not in policy:
        raise ValueError(f"expected a policy with a type as policy {number}, found {policy!r:.100}")
    kind, name = str(policy["type"]), str(policy.get("name", f"policy {number}"))
    where = f"policy {number} ({name})"
    body = _mapping(policy.get(kind) or {}, f"the settings of {kind} in {where}")
    if kind == "probabilistic":
        salt = str(body.get("hash_salt") or "default-hash-seed")
        return TailPolicy(name, kind, _percentage(body.get("sampling_percentage", 0), where), salt=salt)
    if kind == "latency":
        upper = body.get("upper_threshold_ms")
        slow = _number(body.get("threshold_ms", 0), "threshold_ms", where)
        fast = None if not upper else round(_number(upper, "upper_threshold_ms", where) * 1_000_000)
        return TailPolicy(name, kind, slower_than_ns=round(slow * 1_000_000), faster_than_ns=fast)
    if kind == "status_code" and [str(c).upper() for c in body.get("status_codes", ("ERROR",))] != ["ERROR"]:
        return TailPolicy(name, "status_code other than ERROR")
    unknowable = kind in {"rate_limiting", "bytes_limiting", "composite", "drop", "not_sample"}
    return TailPolicy(name, kind, NEVER_KNOWN if unknowable else 1.0)


def _jaeger(strategies: Mapping[str, Any]) -> Rules:
    """Return Jaeger's strategies; a rate-limiting one has no probability, one for an operation cannot be matched."""
    rules: list[HeadRule] = []
    default = strategies.get("default_strategy") or {}
    listed = _list(strategies.get("service_strategies"), "service_strategies")
    for number, body in enumerate([*listed, default], 1):
        is_default = body is default
        _mapping(body, f"a strategy with a type as strategy {number}")
        if is_default and "type" not in body:
            continue
        service = "*" if is_default else str(body.get("service", "*"))
        name = "default_strategy" if is_default else f"strategy {number} ({service})"
        for own in _list(body.get("operation_strategies"), f"operation_strategies of {name}"):
            _mapping(own, f"operation and param in operation_strategies of {name}")
            operation = (("operation", str(own.get("operation"))),)
            rules.append(HeadRule(name, _strategy(own, name), service_name=service, attributes=operation))
        rules.append(HeadRule(name if is_default else service, _strategy(body, name), service_name=service))
    return Rules(tuple(rules))


def _strategy(body: Mapping[str, Any], where: str) -> float:
    """Return the probability of a strategy, NaN for a limit per second."""
    return NEVER_KNOWN if body.get("type") == "ratelimiting" else _share(body.get("param"), "param", where)


_READERS = {
    "SamplingRuleRecords": lambda source: _central(_list(source["SamplingRuleRecords"], "SamplingRuleRecords")),
    "SamplingRule": lambda source: _central([source]),
    "FixedRate": lambda source: _central([source]),
    "processors": _collector,
    "policies": lambda source: _collector({"processors": {"tail_sampling": source}}),
    "rules": _local,
    "default_strategy": _jaeger,
    "service_strategies": _jaeger,
}


def _list(value: Any, what: str) -> list[Any]:
    """Return a list, empty where there is none; ValueError names what is no list."""
    if value is not None and not isinstance(value, (list, tuple)):
        raise ValueError(f"expected a list as {what}, found {value!r:.100}")
    return list(value or ())


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    """Return a mapping; ValueError names what is none."""
    if not isinstance(value, Mapping):
        raise ValueError(f"expected {what}, found {value!r:.100}")  # noqa: TRY004 - the content of a file, no argument
    return value


def _percentage(value: Any, where: str) -> float:
    """Return a percentage as a share; ValueError names the rule."""
    number = _number(value, "sampling_percentage", where)
    if not 0 <= number <= 100:  # noqa: PLR2004 - a percentage
        raise ValueError(f"expected sampling_percentage between 0 and 100 in {where}, found {value!r:.100}")
    return number / 100


def _number(value: Any, field: str, where: str) -> float:
    """Return a number; ValueError names the rule."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"expected a number as {field} of {where}, found {value!r:.100}")
    return number


def _share(value: Any, field: str, where: str) -> float:
    """Return a share; ValueError names the rule."""
    number = _number(value, field, where)
    if not 0 <= number <= 1:
        raise ValueError(f"expected {field or 'a share'} between 0 and 1 in {where}, found {value!r:.100}")
    return number


def _whole(value: Any, field: str, where: str) -> int:
    """Return a count; ValueError names the rule."""
    number = _number(value, field, where)
    if not 0 <= number < _MOST or number != int(number):
        raise ValueError(f"expected a whole number of 0 or more as {field} of {where}, found {value!r:.100}")
    return int(number)


def _duration_ns(text: Any) -> int:
    """Return a duration such as ``30s`` or ``1m30s``."""
    parts = re.findall(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)", str(text)[:_LONGEST])
    if not parts or "".join(a + b for a, b in parts) != str(text):
        raise ValueError(f"expected a duration such as 30s as decision_wait, found {text!r:.100}")
    return round(sum(float(amount) * _UNITS_NS[unit] for amount, unit in parts))
