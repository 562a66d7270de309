"""The likely cause: the suspect, the mechanism, and how much of the change it explains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracekit.analysis.suspects.ranking import FAILURES, KINDS, MORE_CALLS
from tracekit.checks.changes.operations import added_per_call, factors_of
from tracekit.checks.names import place_of
from tracekit.checks.patterns.n_plus_one import N_PLUS_ONE
from tracekit.checks.screen.query import query_of
from tracekit.findings import Finding
from tracekit.text import clean, interval, p_value, plural, ratio, signed_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from tracekit.checks.comparison import Changes
    from tracekit.checks.screen.made import Made

_NAME: Final = 80
_WORTH: Final = 0.1  # of the added mean latency
_NAMED: Final = 3  # other operations in a sentence
_WAY_IN, _WAY_OUT, _STARVED = KINDS[1:4]


class Cause(NamedTuple):
    """What explains a regression, as far as findings say so.

    Parameters
    ----------
    suspect
        Finding about the first likely suspect; None without one.
    pattern
        Finding about a new pattern at the same service; None without one.
    row
        Row of the comparison of critical paths: the largest significant increase; None without one.
    service_name
        The service at which it is; empty where none is likely.
    others
        Rows of the other operations with a significant increase, the largest first.
    """

    suspect: Finding | None
    pattern: Finding | None
    row: pd.Series | None
    service_name: str
    others: tuple[pd.Series, ...] = ()


def _numbers_of(one: Finding) -> Mapping[str, Any]:
    """Return the names and numbers of a finding."""
    return one.values  # noqa: PD011 - not a frame


def cause_of(made: Made) -> Cause:
    """Return what explains the regression: the first likely suspect, and the operation with the largest increase."""
    suspect = made.warning("suspects") or _calling_more(made)
    grown = [] if _is_failing(made, suspect) else _grown(made)
    row = grown[0] if grown else None
    name = (
        str(_numbers_of(suspect)["service_name"]) if suspect is not None else "" if row is None else row["service_name"]
    )
    pattern = next((one for one in made.findings if _explains(one, str(name), row)), None)
    if suspect is None and row is not None and pattern is None:
        pattern = next((one for one in made.findings if _is_called_more(one, row)), None)
        name = name if pattern is None else _numbers_of(pattern)["caller_service"]
    return Cause(suspect, pattern, row, str(name), tuple(grown[1:]))


def cause(made: Made) -> Finding | None:
    """Return the likely cause of a regression; that none is known, where nothing is significant."""
    if made.regression is None or made.changes is None:
        return None
    found = cause_of(made)
    if found.suspect is None and found.row is None and found.pattern is None:
        text = "Not known: no service and no operation explains the change significantly."
        return Finding("screen.cause", "info", text, values={"service_name": None}, code="tk.suspects(before, traces)")
    query = query_of(made, found) if found.pattern is None else None
    more = [] if query is None else [f"Query: {query.words}."]
    words = [*_mechanism(found), *_share(found, made.changes), *more, *_suspect(found)]
    main = found.suspect or found.pattern or made.first("change", "regressed")
    return Finding(
        "screen.cause",
        "notice",
        " ".join(words).removeprefix("Likely suspect: "),
        None if main is None else main.estimate,
        exemplars=() if main is None else main.exemplars,
        values=_values(found),
        code="tk.suspects(before, traces)" if found.suspect is not None else "" if main is None else main.code,
    )


def _is_failing(made: Made, suspect: Finding | None) -> bool:
    """Return whether more requests fail because the likely suspect does: latency then says nothing about it."""
    is_about_errors = made.regression is not None and made.regression.metric == "error_rate"
    return is_about_errors and suspect is not None and _numbers_of(suspect).get("kind") == FAILURES


def _calling_more(made: Made) -> Finding | None:
    """Return the first suspect, if it is one that calls others more often: as a possible one, it is no warning."""
    one = made.first("suspects")
    return one if one is not None and _numbers_of(one).get("kind") == MORE_CALLS else None


def _is_called_more(one: Finding, row: pd.Series) -> bool:
    """Return whether a new pattern is calls to the operation that grew."""
    numbers = _numbers_of(one)
    is_new = "mechanism" in numbers and one.severity in {"warning", "notice"}
    return is_new and numbers["callee_service"] == row["service_name"]


def _grown(made: Made) -> list[pd.Series]:
    """Return the significant increases of the critical-path time of operations, the largest first."""
    changes = made.changes
    if made.first("change") is None or changes is None or changes.comparison is None:
        return []
    table = changes.comparison.table
    return [row for _, row in table[table["is_significant"] & (table["change_ns"] > 0)].iterrows()]


def _explains(one: Finding, service_name: str, row: pd.Series | None) -> bool:
    """Return whether a pattern that the baseline does not have to this extent is at the service."""
    if "mechanism" not in _numbers_of(one) or one.severity not in {"warning", "notice"} or not service_name:
        return False
    ends = {_numbers_of(one)["caller_service"], _numbers_of(one)["service_name"], _numbers_of(one)["callee_service"]}
    is_row = row is not None and _numbers_of(one)["operation"] == row["operation"] and row["service_name"] in ends
    return service_name in ends and (is_row or row is None or row["service_name"] != service_name)


def _mechanism(found: Cause) -> list[str]:
    """Return the mechanism; none where no pattern was found."""
    if found.pattern is None:
        return []
    is_complete = "detail" in found.pattern.evidence  # such as which instance: the whole sentence says it
    if found.row is not None and _numbers_of(found.pattern)["operation"] == found.row["operation"] and not is_complete:
        return [f"{_numbers_of(found.pattern)['mechanism']}:"]
    return [found.pattern.headline]


def _share(found: Cause, changes: Changes) -> list[str]:
    """Return which operation grew, and which share of the added mean latency that is."""
    compared, row = changes.comparison, found.row
    if row is None or compared is None:
        return []
    why = ", ".join(factors_of(compared, row))
    words = [f"{place_of(row)}: {why}." if why else f"{place_of(row)}."]
    change = compared.change
    if change.low > 0:
        limits = interval(change.low, change.high, signed_duration)
        share = min(1.0, row["change_ns"] / change.value)
        words.append(f"Explains {ratio(share)} of the added mean latency ({signed_duration(change.value)}; {limits}).")
    others: dict[bool, list[pd.Series]] = {False: [], True: []}
    for one in _large(found, changes):
        others[is_of_suspect(found, changes, one)].append(one)
    words += [] if _is_calling_more(found) else _named(changes, others[True], "With it")
    words += _named(changes, others[False], "Also slower")
    rest = int((~compared.table["is_significant"]).sum())
    if rest:
        words.append(f"{plural(rest, 'other operation')}: no significant change.")
    return words


def _named(changes: Changes, rows: list[pd.Series], title: str) -> list[str]:
    """Return a sentence that names operations with what they add; none without one."""
    if not rows:
        return []
    named = "; ".join(f"{place_of(one)}, {part_of(changes, one)}" for one in rows[:_NAMED])
    more = f"; and {plural(len(rows) - _NAMED, 'more operation')}" * (len(rows) > _NAMED)
    return [f"{title}: {named}{more}."]


def worth(found: Cause, changes: Changes) -> list[pd.Series]:
    """Return the other operations with a tenth of the added mean latency or more: less is what load adds elsewhere.

    Not those that are slower because of what the likely suspect does, as far as its kind says so.
    """
    return [row for row in _large(found, changes) if not is_of_suspect(found, changes, row)]


def _large(found: Cause, changes: Changes) -> list[pd.Series]:
    """Return the other operations with a tenth of the added mean latency or more."""
    compared = changes.comparison
    if compared is None or not compared.change.low > 0:
        return []
    return [row for row in found.others if row["change_ns"] >= _WORTH * compared.change.value]


def is_of_suspect(found: Cause, changes: Changes, row: pd.Series) -> bool:
    """Return whether an operation is slower because of what the likely suspect does: calls more often, or waits.

    Of a service that waits for a way in or out, the calls to it or from it are slower; of a starved one, all of it.
    """
    compared = changes.comparison
    if compared is not None and _is_calling_more(found):
        return added_per_call(compared, row) < _WORTH * compared.change.value
    kind = "" if found.suspect is None else _numbers_of(found.suspect)["kind"]
    name, callee = found.service_name, row["callee_service"]
    is_call = isinstance(callee, str) and callee != row["service_name"]
    if row["service_name"] == name:
        return kind == _STARVED or (kind == _WAY_OUT and is_call)
    return bool(is_call and callee == name and kind in {_STARVED, _WAY_IN})


def _is_calling_more(found: Cause) -> bool:
    """Return whether the likely cause is that a service calls others more often."""
    kind = "" if found.suspect is None else _numbers_of(found.suspect)["kind"]
    return kind == MORE_CALLS or (found.pattern is not None and found.pattern.check == N_PLUS_ONE.check)


def part_of(changes: Changes, row: pd.Series) -> str:
    """Return how much an operation adds per request, and which share of the added mean latency that is."""
    compared = changes.comparison
    added = signed_duration(row["change_ns"])
    if compared is None or not compared.change.low > 0:
        return added
    return f"{added} ({ratio(min(1.0, row['change_ns'] / compared.change.value))})"


def _suspect(found: Cause) -> list[str]:
    """Return the service that the comparison of services names; its whole finding where no operation is significant."""
    if found.suspect is None:
        return []
    if found.row is None:
        return [found.suspect.headline]
    if found.suspect.severity != "warning":
        return [found.suspect.headline]
    name = clean(found.service_name, limit=_NAME)
    return [f"Likely suspect: {name} (p {p_value(_numbers_of(found.suspect)['p_value'])})."]


def _values(found: Cause) -> dict[str, Any]:
    """Return the names and numbers of a cause."""
    row = found.row
    return {
        "service_name": found.service_name or None,
        "operation": None if row is None else str(row["operation"]),
        "mechanism": None if found.pattern is None else _numbers_of(found.pattern)["mechanism"],
        "change_ns": None if row is None else int(row["change_ns"]),
        "others": [
            {
                "service_name": str(one["service_name"]),
                "operation": str(one["operation"]),
                "change_ns": int(one["change_ns"]),
            }
            for one in found.others
        ],
        "p_value": None if found.suspect is None else float(_numbers_of(found.suspect)["p_value"]),
    }
