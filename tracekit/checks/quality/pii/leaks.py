"""S30: PII and secrets in attributes, span names and messages; values are always masked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import special

from tracekit.checks.quality.duplicates import SPANS
from tracekit.checks.quality.pii.search import (
    CARD,
    CARD_OR_RUN,
    FOUND,
    LOGGED,
    RUNS,
    SEARCHED,
    VALID_RUNS,
    found_in_lines,
    no_traces,
)
from tracekit.checks.quality.pii.traffic import leaks_in_traffic
from tracekit.checks.verdicts import worst_status
from tracekit.findings import Estimate, Status, finding, not_assessable
from tracekit.redaction.patterns import DETECTORS, is_pii, masked
from tracekit.stats.intervals import normal_quantile, wilson
from tracekit.stats.tests import false_discovery
from tracekit.text import count, interval, ratio, ratio_range, round_ratio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracekit.checks.case import Case
    from tracekit.checks.quality.pii.search import Found
    from tracekit.findings import Finding

CHECK = "pii"
_BY_CHANCE, _FALSE = 0.1, 0.01
_COLUMNS = ["key", "kind", "value_count", "scanned_count", "span_count", "low", "high", "example", "status"]
_COLUMNS += ["genuine_ratio", "genuine_low", "genuine_high"]
_COLUMNS += ["trace_count", "traffic_count", "traffic_low", "traffic_high"]
_PLACE = "place"


def privacy(case: Case) -> list[Finding]:
    """Return the attributes, span names and messages, and messages of log lines, that contain PII or secrets.

    Scans every distinct value for e-mail addresses, international phone numbers, payment cards (length, issuer, check
    digit), IBAN (country, length, remainder by 97), US social security numbers (assigned areas), JSON web tokens
    (header that decodes), AWS access keys, tokens of well-known services, private keys, bearer and basic credentials,
    secrets in parameters, passwords in URLs, private IP addresses (listed, not a leak).  One in ten random digit runs
    passes the check digit of a card: a key is reported only if its valid runs exceed that at a false discovery rate of
    1%; the genuine share is ``(k / n - 0.1) / 0.9``.  Secrets and numbers of cards, accounts and persons are critical,
    personal addresses a warning.  If all weights are known, the number of leaking requests in all traffic is estimated
    with exact limits (``leaks_in_traffic``).  Of a value only the first and last two characters are shown.  Not
    detected: names, free text, encoded or compressed data.

    Counts are exact, but of a store with more than 4,096 distinct values of a key: of these a random share is kept (as
    hashes), so that ``value_count`` and ``scanned_count`` have a standard error of about 2%, which ``low`` and ``high``
    include; the genuine share of cards is that of the digit runs that are kept.

    Source: ISO/IEC 7812 (Luhn), ISO 13616, RFC 7519.
    """
    if not case.result(SPANS):
        return [not_assessable(CHECK, "PII or secrets", "spans")]
    found = [case.result(FOUND)]
    if case.logs is not None:
        found.append(found_in_lines(case.logs.lines, case.logs.traces, found[0]))
    rows = [row for one in found for row in _rows(one, case.confidence)]
    evidence = pd.DataFrame(rows, columns=[*_COLUMNS, _PLACE])
    by = ["status", "span_count", "key", "kind"]
    evidence = evidence.sort_values(by, ascending=[True, False, True, True], ignore_index=True, key=_by_severity)
    total = sum(int(one.distinct.count[one.distinct.keys["kind"] == SEARCHED].sum()) for one in found)
    places = evidence.pop(_PLACE)
    leaks = evidence[evidence["status"] != "ok"]
    if not len(leaks):
        most = 1 - (1 - case.confidence) ** (1 / max(total, 1))  # about 3 / n
        text = (
            f"No PII or secrets detected in {count(total)} distinct values of attributes, span names and messages "
            f"({round_ratio(case.confidence)} upper bound: {ratio(most)} of such values"
        )
        none = leaks_in_traffic(found[0].whole, no_traces(), found[0].totals, confidence=case.confidence)
        text += ")." if np.isnan(none.high) else f", {count(none.high)} requests of all traffic)."
        estimate = Estimate(0.0, "ratio", 0.0, most, total)
        return [finding(CHECK, "ok", text, evidence, estimate=estimate, assumptions=_ASSUMED)]
    top = leaks.iloc[0]
    others = sorted(set(leaks["key"]) - {top["key"]})
    also = f" Also affected: {', '.join(f'`{key}`' for key in others[:5])}." if others else ""
    share = f"{case.ci} {ratio_range(top['low'], top['high'])}"
    unit = "lines" if top["key"] == LOGGED else "spans"
    text = (
        f"PII or secrets in `{top['key']}` ({top['kind']}): {count(top['value_count'])} of "
        f"{count(top['scanned_count'])} distinct values ({share}), such as {top['example']}, in "
        f"{count(top['span_count'])} {unit}{_genuine(top)}{_in_traffic(top)}.{also}"
    )
    estimate = Estimate(
        top["value_count"] / top["scanned_count"], "ratio", top["low"], top["high"], int(top["scanned_count"])
    )
    remedy = "Drop or mask the key in the SDK or collector, revoke secrets, delete what is stored; share no raw export."
    statuses: list[Status] = leaks["status"].tolist()
    first = places[evidence["status"] != "ok"].iloc[0]
    where = next(one.examples[first][1] for one in found if first in one.examples)
    return [
        finding(
            CHECK,
            worst_status(statuses),
            text,
            evidence,
            estimate=estimate,
            assumptions=_ASSUMED,
            remedy=remedy,
            exemplars=where,
        )
    ]


_ASSUMED = ("names, free text and encoded values are not detected",)


def _by_severity(column: pd.Series) -> pd.Series:
    """Return the sort key of a column: failed before warning before ok."""
    return column.map({"failed": 0, "warning": 1, "ok": 2}) if column.name == "status" else column


def _rows(found: Found, confidence: float) -> Iterator[list[Any]]:
    """Yield one row per key and kind of PII, and where it is."""
    sizes = dict(zip(found.places, found.distinct.count.tolist(), strict=True))
    errors = dict(zip(found.places, found.distinct.error.tolist(), strict=True))
    uses = dict(zip(found.places, found.distinct.use_count.tolist(), strict=True))
    cards = _cards(found, confidence)
    for at in found.places:
        place, key, kind = at
        genuine = cards.get((place, key), (np.nan, np.nan, np.nan))
        is_named = not np.isnan(genuine[0])
        if kind in {SEARCHED, RUNS, VALID_RUNS} or kind == (CARD if is_named else CARD_OR_RUN):
            continue
        kind = CARD if kind == CARD_OR_RUN else kind
        many, whole = sizes[at], (place, key, SEARCHED)
        n = max(sizes[whole], many)
        low, high = _limits(many / n, n, float(np.hypot(errors[at], errors[whole])), confidence)
        leaks = leaks_in_traffic(found.whole, found.traffic_of(at), found.totals, confidence=confidence)
        share = genuine if kind == CARD else (np.nan, np.nan, np.nan)
        example = found.examples[at][0]
        yield [_name(key), kind, many, n, uses[at], low, high, example, _status(kind), *share, *leaks, at]


def _limits(share: float, n: int, error: float, confidence: float) -> tuple[float, float]:
    """Return the limits of a share of n values, of which the numbers have a relative standard error."""
    low, high = (float(limit) for limit in wilson(share, n, confidence=confidence))
    apart = 1 + normal_quantile(confidence) * error
    return low / apart, min(high * apart, 1.0)


def _cards(found: Found, confidence: float) -> dict[tuple[str, str], tuple[float, float, float]]:
    """Return the genuine share of digit runs with limits, of the keys with significantly many card numbers."""
    distinct = found.distinct
    number = {at: one for one, at in enumerate(found.places)}
    keys = [(place, key) for place, key, kind in found.places if kind == RUNS]
    n, k = np.zeros((2, len(keys)), np.int64)
    for at, key in enumerate(keys):
        runs = distinct.value[distinct.group == number[*key, RUNS]]
        valid = number.get((*key, VALID_RUNS))
        n[at] = len(runs)
        k[at] = 0 if valid is None else np.isin(runs, distinct.value[distinct.group == valid]).sum()
    named = false_discovery(special.bdtrc(k - 1, n, _BY_CHANCE)) <= _FALSE
    shares = np.array([k / n, *wilson(k / n, n, confidence=confidence)])
    genuine = np.clip((shares - _BY_CHANCE) / (1 - _BY_CHANCE), 0, 1).T.tolist()
    return {key: tuple(one) for key, one, is_named in zip(keys, genuine, named, strict=True) if is_named}


def _genuine(row: pd.Series) -> str:
    """Return the share of the digit runs that are genuine cards, as a clause."""
    if np.isnan(row["genuine_ratio"]):
        return ""
    limits = ratio_range(row["genuine_low"], row["genuine_high"])
    return f"; {ratio(row['genuine_ratio'])} ({limits}) of its card-like digit runs are genuine"


def _in_traffic(row: pd.Series) -> str:
    """Return the number of requests of all traffic with such data, as a clause; empty if weights are unknown."""
    if np.isnan(row["traffic_count"]):
        return ""
    limits = interval(row["traffic_low"], row["traffic_high"], count, confidence="")
    return f", about {count(row['traffic_count'])} ({limits}) requests of all traffic"


def _name(key: str) -> str:
    """Return a key for a sentence; masked if it is PII itself."""
    return masked(key) if is_pii(key) else key


def _status(kind: str) -> Status:
    """Return the status of a kind of PII."""
    if kind == "private address":
        return "ok"
    return "failed" if DETECTORS[kind].is_secret else "warning"
