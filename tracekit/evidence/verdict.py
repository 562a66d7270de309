"""Whether a claim follows from the measured numbers: true, false, or not decidable, with the number derived again.

A number agrees if the measured one rounds to it at the digits that the claim has, and is within 5% of it; one that is
rounded more coarsely, or only lies within the interval of the measured one, is not decidable: the data neither give nor
exclude it.  A direction holds if the intervals
of both sides do not overlap, or if that of the change excludes 0.  A clause is true only if everything in it was
derived again; a denial is never called true.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np
import pandas as pd

from tracekit.checks.measured import BASELINE, CHANGE, CURRENT, SUBJECT
from tracekit.evidence.claim import parsed
from tracekit.evidence.tokens import LONGEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracekit.evidence.claim import Clause
    from tracekit.evidence.tokens import Number

Word = Literal["true", "false", "not decidable"]
TRUE: Final[Word] = "true"
FALSE: Final[Word] = "false"
OPEN: Final[Word] = "not decidable"
NEAREST: Final = 5
_ABOUT: Final = 0.1
_COARSE: Final = 0.05  # of the measured number that rounding may change
_CLAUSES: Final = 5
_PROBLEMS: Final = 3
_DIGITS: Final = Context(prec=2 * LONGEST)
_UNIT_OF: Final = {"ns": {"ns"}, "ratio": {"ratio"}, "count": {""}}
_WHOLE: Final = ("change_share", "latency_share")  # shares of a whole that no subject is not a share of
Row = dict[Hashable, Any]


class Check(NamedTuple):
    """One number or direction of a clause with what was derived again: a word, why, and the rows that were used."""

    word: Word
    reason: str
    rows: tuple[Row, ...] = ()


class Ruling(NamedTuple):
    """The verdict on a claim.

    Parameters
    ----------
    word
        ``true``, ``false`` or ``not decidable``.
    reasons
        Why, one for each assertion; without any text of the claim or of the traces.
    used
        Rows of measured numbers that it rests on.
    nearest
        Rows that may be meant, where it is not decidable.
    """

    word: Word
    reasons: tuple[str, ...]
    used: tuple[Row, ...] = ()
    nearest: tuple[Row, ...] = ()


def ruling(claim: str, rows: pd.DataFrame, *, is_comparable: bool = True) -> Ruling:
    """Return the verdict on a claim.

    Parameters
    ----------
    claim
        A sentence about these traces.
    rows
        Numbers as ``checks.measured.measured`` returns them.
    is_comparable
        Whether changes may be claimed: both sides were sampled alike as far as is known.

    Examples
    --------
    >>> from tracekit.checks.case import Case
    >>> from tracekit.checks.measured import measured
    >>> rows = measured(Case(shop))
    >>> [ruling(f"p50 of all requests is {one}", rows).word for one in ("100 ms", "0.1 s", "170 ms", "a lot")]
    ['true', 'true', 'false', 'not decidable']
    """
    if not claim.strip():
        return Ruling(OPEN, ("the claim is empty",))
    if len(claim) > LONGEST:
        return Ruling(OPEN, (f"the claim is longer than {LONGEST:,} characters; claim one thing at a time",))
    names = sorted({str(name) for column in SUBJECT for name in rows[column].unique() if name})
    clauses = parsed(claim, names)
    if not clauses:
        return Ruling(OPEN, ("the claim says nothing",))
    if len(clauses) > 1 and any(not (one.numbers or one.direction or one.problems) for one in clauses):
        return Ruling(OPEN, ("a part of it has neither a number nor a direction; claim one thing at a time",))
    if len(clauses) > _CLAUSES:
        return Ruling(OPEN, (f"it has {len(clauses)} assertions, more than {_CLAUSES}; claim one thing at a time",))
    checks = [_judged(clause, rows, is_comparable=is_comparable) for clause in clauses]
    words = {check.word for check in checks}
    word = FALSE if FALSE in words else OPEN if OPEN in words else TRUE
    numbered = [f"{at + 1}. {check.word}: {check.reason}" for at, check in enumerate(checks)]
    reasons = tuple(numbered) if len(checks) > 1 else (checks[0].reason,)
    used = tuple(row for check in checks if check.word != OPEN for row in check.rows)
    open_ones = [(clause, check) for clause, check in zip(clauses, checks, strict=True) if check.word == OPEN]
    nearest = [row for clause, check in open_ones for row in (check.rows or _nearest(clause, rows))]
    return Ruling(word, reasons, _distinct(used), _distinct(nearest)[: 2 * NEAREST])


def _distinct(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Return rows without repeated ones."""
    return tuple({tuple(str(value) for value in row.values()): row for row in rows}.values())


def _judged(clause: Clause, rows: pd.DataFrame, *, is_comparable: bool) -> Check:
    """Return the verdict on one clause."""
    if clause.problems:
        problems = list(dict.fromkeys(clause.problems))
        more = [f"and {len(problems) - _PROBLEMS} more problems"] * (len(problems) > _PROBLEMS)
        return Check(OPEN, "; ".join(problems[:_PROBLEMS] + more))
    if not clause.metrics:
        return Check(OPEN, "it names no quantity, such as p95, mean latency, error rate, or a share of the change")
    if not clause.numbers and not clause.direction:
        return Check(OPEN, "it has neither a number nor a direction")
    if not clause.names and not clause.is_all:
        return Check(OPEN, "it names no service, operation or attribute value, and not 'all requests'")
    exact, narrower = _subjects(clause, rows)
    if not exact and not narrower:
        return Check(OPEN, "no such number was measured for these names together")
    if not exact:
        shown = tuple(group[0] for group in narrower[:NEAREST])
        return Check(OPEN, "the names fit several places, and none alone; name service and operation", shown)
    found = [_of_subject(clause, group, rows, is_comparable=is_comparable) for group in exact]
    if len({check.word for check in found}) > 1:
        used = tuple(row for check in found for row in check.rows)
        return Check(OPEN, "it holds for requests or for spans, but not for both; the numbers differ", used)
    check = found[0]
    if check.word == FALSE:
        others = (_of_subject(clause, group, rows, is_comparable=is_comparable) for group in narrower)
        if (part := next((one for one in others if one.word == TRUE), None)) is not None:
            text = "it does not hold for what is named as a whole, but for a part of it; name that part"
            return Check(OPEN, text, (*check.rows, *part.rows))
    return _denied(check) if clause.is_negated else check


def _subjects(clause: Clause, rows: pd.DataFrame) -> tuple[list[list[Row]], list[list[Row]]]:
    """Return the rows of each subject that the names of a clause stand for, and those of which they name a whole."""
    names = set(clause.names)
    mine = rows[rows["metric"] == clause.metrics[0]]
    is_mine = np.array([names <= _named(row) for row in mine[list(SUBJECT)].to_dict("records")], bool)
    groups = [_of(group) for _, group in mine.loc[is_mine].groupby([*SUBJECT, "scope"], sort=False)]
    exact = [group for group in groups if _named(group[0]) - _spared(group[0], names) == names]
    narrower = [group for group in groups if group not in exact] if names else []
    return (narrower, []) if not exact and len(narrower) == 1 else (exact, narrower)


def _denied(check: Check) -> Check:
    """Return the verdict on the opposite: false where the clause is true, otherwise open."""
    if check.word == TRUE:
        return Check(FALSE, f"it denies what holds: {check.reason}", check.rows)
    return Check(OPEN, "a denial is not called true; claim the number that holds", check.rows)


def _named(row: Row) -> set[str]:
    """Return the names that a row is about."""
    return {str(row[column]) for column in SUBJECT if row[column]}


def _spared(row: Row, names: set[str]) -> set[str]:
    """Return the names of a row that need not be said: its callee, and the key of an attribute value."""
    spared = {str(row[column]) for column in ("callee_service", "attribute_key") if row[column]}
    return spared - names - {str(row["service_name"]), str(row["operation"]), str(row["attribute_value"])}


def _of(group: pd.DataFrame) -> list[Row]:
    """Return the rows of a subject."""
    return [{str(name): value for name, value in row.items()} for row in group.to_dict("records")]


def _of_subject(clause: Clause, group: Sequence[Row], rows: pd.DataFrame, *, is_comparable: bool) -> Check:
    """Return the verdict on a clause about one subject."""
    if not is_comparable and _is_change(clause):
        return Check(OPEN, "the sides are not comparable, so no change is claimed", tuple(group))
    sides = {row["side"]: row for row in group}
    checks = [_number(clause, role, number, sides) for role, number in clause.numbers]
    if clause.direction:
        checks.append(_direction(clause.direction, sides))
    if clause.whole:
        checks.append(_of_whole(clause.whole, rows))
    words = [check.word for check in checks]
    word = FALSE if FALSE in words else OPEN if OPEN in words else TRUE
    shown = [check for check in checks if check.word == word] if word != TRUE else checks
    used = _distinct(row for check in checks for row in check.rows)
    reason = "; ".join(dict.fromkeys(check.reason for check in shown))
    return Check(word, reason, used)


def _is_change(clause: Clause) -> bool:
    """Return whether a clause is about a change."""
    return bool(clause.direction) or any(role in {"change", "factor"} for role, _ in clause.numbers)


def _number(clause: Clause, role: str, number: Number, sides: dict[str, Row]) -> Check:
    """Return whether one number agrees with what was measured."""
    if role == "factor":
        return _factor(clause, number, sides)
    if role == "single" and clause.direction:
        return _bare(clause, number, sides)
    if role == "change":
        return _change(clause, number, sides)
    if clause.side and role in {BASELINE, CURRENT} and clause.side != role:
        return Check(OPEN, "it says baseline and current of one number")
    side = _side(clause, role)
    row = sides.get(side)
    if row is None:
        missing = "no interval of the change was measured" if side == CHANGE else f"nothing was measured for the {side}"
        return Check(OPEN, f"{missing}; there may be no baseline" if side == BASELINE else missing)
    return _at(clause, role, number, row)


def _side(clause: Clause, role: str) -> str:
    """Return which side a number is of; an interval and a number of traces are of the number that is stated."""
    if role in {BASELINE, CURRENT}:
        return role
    roles = {known for known, _ in clause.numbers}
    is_of_change = roles & {"change", "factor"} or (clause.direction and not roles & {BASELINE, CURRENT})
    return CHANGE if clause.whole is not None or is_of_change else clause.side or CURRENT


def _bare(clause: Clause, number: Number, sides: dict[str, Row]) -> Check:
    """Return whether a number beside a direction agrees as a change; open where it would agree as a level."""
    check = _change(clause, number, sides)
    if check.word != FALSE or CURRENT not in sides:
        return check
    row = sides[CURRENT]
    if _compared(number, row, clause.bound, (row,), "number").word == FALSE:
        return check
    return Check(OPEN, f"{check.reason}; say 'by' before a change, and 'to' before what it became", check.rows)


def _at(clause: Clause, role: str, number: Number, row: Row) -> Check:
    """Return whether a level, a limit of an interval or a number of traces agrees with a row."""
    if role == "n":
        is_same = float(row["n"]) == number.value
        return Check(TRUE if is_same else FALSE, f"n is {'as stated' if is_same else 'another'}", (row,))
    if role in {"low", "high"}:
        limit = float(row[role])
        if not math.isfinite(limit):
            return Check(OPEN, "no interval was measured", (row,))
        if clause.direction < 0 and row["side"] == CHANGE and not number.is_signed:
            return Check(OPEN, "the interval of a decrease has no signs", (row,))
        return _compared(number, {**row, "value": limit, "low": math.nan, "high": math.nan}, "", (row,), "limit")
    return _compared(number, row, clause.bound if role == "single" else "", (row,), "number")


def _change(clause: Clause, number: Number, sides: dict[str, Row]) -> Check:
    """Return whether a change agrees: in units, or as a share of the baseline."""
    if BASELINE not in sides or CURRENT not in sides:
        row = sides.get(CHANGE)
        if row is None or number.unit != "ns":
            return Check(OPEN, "there is no baseline to measure a change from")
        return _moved(clause, number, row, (row,), "change")
    before, now = sides[BASELINE], sides[CURRENT]
    used = (before, now)
    change = float(now["value"]) - float(before["value"])
    row = sides.get(CHANGE) or {**now, "value": change, "low": math.nan, "high": math.nan}
    if now["unit"] == "ratio":
        if number.unit != "points":
            return Check(OPEN, "a change of a rate in % can be of points or of the rate; say percentage points", used)
        return _moved(clause, number._replace(unit="ratio"), row, used, "change")
    if number.unit == "ratio":
        if not before["value"]:
            return Check(OPEN, "the baseline is 0", used)
        relative = {**row, "value": change / float(before["value"]), "low": math.nan, "high": math.nan, "unit": "ratio"}
        return _moved(clause, number, relative, used, "relative change")
    return _moved(clause, number, row, used, "change")


def _moved(clause: Clause, number: Number, row: Row, used: tuple[Row, ...], what: str) -> Check:
    """Return whether a change agrees; of a decrease, whether its size does."""
    sign = -1 if number.text.startswith("-") else 1 if number.is_signed else 0
    if sign * clause.direction < 0:
        return Check(OPEN, "its sign is not that of its direction", used)
    if not (clause.direction or sign) and number.value and clause.bound in {"least", "most"}:
        return Check(OPEN, "a bound on a change has to say whether it rose or fell", used)
    if sign < 0 and not clause.direction and clause.bound in {"least", "most"}:
        return Check(OPEN, "a bound on a negative change can be read in two ways; say that it fell", used)
    if clause.direction >= 0:
        return _compared(number, row, clause.bound, used, what)
    size = {**row, "value": -float(row["value"]), "low": -float(row["high"]), "high": -float(row["low"])}
    return _compared(number._replace(text=number.text.lstrip("+-")), size, clause.bound, used, f"{what} downwards")


def _factor(clause: Clause, number: Number, sides: dict[str, Row]) -> Check:
    """Return whether a factor agrees: current by baseline, or the other way round where it improved."""
    if BASELINE not in sides or CURRENT not in sides:
        return Check(OPEN, "there is no baseline for a factor")
    before, now = sides[BASELINE], sides[CURRENT]
    parts = (before, now) if clause.direction < 0 else (now, before)
    if not parts[1]["value"]:
        return Check(OPEN, "a factor of 0 is not defined", (before, now))
    value = float(parts[0]["value"]) / float(parts[1]["value"])
    row = {**now, "value": value, "low": math.nan, "high": math.nan, "unit": "factor"}
    return _compared(number, row, clause.bound, (before, now), "factor")


def _compared(number: Number, row: Row, bound: str, used: tuple[Row, ...], what: str) -> Check:
    """Return whether a number agrees with a measured value, with the value derived again."""
    unit = str(row["unit"])
    allowed = {"factor"} if unit == "factor" else _UNIT_OF[unit]
    if number.unit not in allowed:
        return Check(OPEN, f"the {what} has no unit, or one that does not fit", used)
    value, low, high = (float(row[name]) for name in ("value", "low", "high"))
    again = f"{what} derived again: {value / number.scale:.6g} in the unit of the claim"
    if math.isfinite(low) and math.isfinite(high):
        again += f" (95% CI {low / number.scale:.6g} to {high / number.scale:.6g})"
    if bound in {"least", "most"}:
        return _bounded(number.value, (value, low, high), bound, again, used)
    if _rounds(value / number.scale, number):
        if abs(number.value - value) <= _COARSE * abs(value):
            return Check(TRUE, f"{again}; it rounds to what is claimed", used)
        return Check(OPEN, f"{again}; what is claimed is rounded too coarsely to decide", used)
    if low <= number.value <= high:
        return Check(OPEN, f"{again}; what is claimed lies within the interval, but is not what was measured", used)
    if bound == "about" and abs(number.value - value) <= _ABOUT * abs(value):
        return Check(OPEN, f"{again}; whether that is about the same is a matter of words", used)
    return Check(FALSE, again, used)


def _bounded(claimed: float, found: tuple[float, float, float], bound: str, again: str, used: tuple[Row, ...]) -> Check:
    """Return whether a bound holds: for the whole interval, where there is one."""
    value, low, high = found
    ends = (low, high) if math.isfinite(low) and math.isfinite(high) else (value, value)
    holds = [end >= claimed if bound == "least" else end <= claimed for end in ends]
    if all(holds):
        return Check(TRUE, again, used)
    return Check(OPEN if any(holds) else FALSE, again, used)


def _rounds(value: float, number: Number) -> bool:
    """Return whether a value rounds to a number at its last digit; zeros at the end of a whole one may be rounded."""
    digits = number.text.lstrip("+-")
    zeros = 0 if number.decimals else len(digits) - len(digits.rstrip("0").rjust(1))
    found = Decimal(repr(value))
    places = {-number.decimals, zeros}
    rounded = (found.quantize(Decimal(1).scaleb(place), ROUND_HALF_UP, _DIGITS) for place in places)
    return any(one == Decimal(number.text) for one in rounded)


def _direction(direction: int, sides: dict[str, Row]) -> Check:
    """Return whether a number rose or fell beyond doubt."""
    used = tuple(sides[side] for side in (BASELINE, CURRENT, CHANGE) if side in sides)
    if CHANGE in sides:
        low, high = float(sides[CHANGE]["low"]), float(sides[CHANGE]["high"])
    elif BASELINE in sides and CURRENT in sides:
        before, now = sides[BASELINE], sides[CURRENT]
        low, high = float(now["low"]) - float(before["high"]), float(now["high"]) - float(before["low"])
    else:
        return Check(OPEN, "there is no baseline to compare with")
    if not math.isfinite(low) or not math.isfinite(high):
        return Check(OPEN, "the change has no interval, so its direction is not decided", used)
    sign = 1 if low > 0 else -1 if high < 0 else 0
    if not sign:
        return Check(OPEN, "no significant change was measured", used)
    return Check(TRUE if sign == direction else FALSE, "it rose" if sign > 0 else "it fell", used)


def _of_whole(sign: int, rows: pd.DataFrame) -> Check:
    """Return whether the change that is divided is an increase or a decrease, as claimed."""
    whole = rows[(rows["metric"] == "mean") & (rows["side"] == CHANGE)]
    if whole.empty:
        return Check(OPEN, "the change of the mean latency was not measured")
    row = _of(whole)[0]
    is_same = (float(row["value"]) > 0) == (sign > 0)
    return Check(
        TRUE if is_same else FALSE, "the mean latency rose" if row["value"] > 0 else "the mean latency fell", (row,)
    )


def _nearest(clause: Clause, rows: pd.DataFrame) -> list[Row]:
    """Return the rows that have most in common with a clause: names, quantity, side."""
    names = set(clause.names)
    shared = pd.Series([len(names & _named(row)) for row in rows[list(SUBJECT)].to_dict("records")], rows.index)
    extra = pd.Series([len(_named(row) - names) for row in rows[list(SUBJECT)].to_dict("records")], rows.index)
    score = 4 * shared + 3 * rows["metric"].isin(clause.metrics) - extra + (rows["side"] == (clause.side or CURRENT))
    known = score[(shared > 0) | rows["metric"].isin(clause.metrics)]
    return _of(rows.loc[known.sort_values(ascending=False, kind="stable").index[:NEAREST]])
