"""Log lines as plain text: time, level and ids by their usual notations, logfmt, or by the pattern of the user."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from tracekit.loading.logs.fields import SLOTS, Plans, slot_of
from tracekit.loading.logs.ids import ids_in
from tracekit.loading.logs.table import Row, row_of

if TYPE_CHECKING:
    from collections.abc import Callable

_TIME: Final = re.compile(
    r"\s*\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?)\]?[ \t]*"
)
_STREAM: Final = re.compile(r"(?:stdout|stderr) [FP] ")  # between time and message in the files of container runtimes
_LEVEL: Final = re.compile(r"\b(TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|SEVERE|CRITICAL|FATAL)\b")
_WHERE: Final = 120  # characters in which a level is looked for
_LOGFMT: Final = re.compile(r"(?<!\S)([A-Za-z_@][\w.@-]{0,60})=(\"(?:[^\"\\]|\\.)*\"|[^\s\"]*)(?!\S)")
_IS_LOGFMT: Final = re.compile(r"(?:^|\s)(?:msg|message)=")
_CONTINUES: Final = re.compile(r"[ \t]|Caused by:|Traceback |\.\.\. \d+ ")
_ESCAPE: Final = re.compile(r"\\(.)")
_NAMES: Final = tuple(SLOTS)


def text_row(text: str, line: int, offset: int) -> Row | None:
    """Return the row of a line that starts with a time, or that is logfmt; None for any other line."""
    found = _TIME.match(text)
    if found is None:
        return _logfmt_row(text, None, line, offset) if _IS_LOGFMT.search(text[:_WHERE]) else None
    rest = text[found.end() :]
    if stream := _STREAM.match(rest):
        rest = rest[stream.end() :]
    return message_row(rest, found[1], line, offset)


def message_row(text: str, time: Any, line: int, offset: int) -> Row:
    """Return the row of a message without structure, with the level and the ids that it names."""
    if _IS_LOGFMT.search(text[:_WHERE]) and (found := _logfmt_row(text, time, line, offset)) is not None:
        return found
    level = _LEVEL.search(text, 0, _WHERE)
    trace, span = ids_in(text) if len(text) >= 16 else (None, None)  # noqa: PLR2004 - the shortest id
    return Row(time, level[1] if level else None, text, trace, span, None, None, line, offset)


_PLANS: Final = Plans()


def _logfmt_row(text: str, time: Any, line: int, offset: int) -> Row | None:
    """Return the row of ``key=value`` pairs; None if there is no message among them."""
    pairs = {key: _unquoted(value) or None for key, value in _LOGFMT.findall(text)}
    values, kinds = _PLANS.values(pairs)
    if values[SLOTS.index("message")] is None:
        return None
    values[0] = values[0] or time
    return row_of(values, line, offset, kinds)


def _unquoted(value: str) -> str:
    """Return a value of logfmt without quotes and escapes."""
    return _ESCAPE.sub(r"\1", value[1:-1]) if value.startswith('"') and len(value) > 1 else value


def continues(text: str) -> bool:
    """Return whether a line looks like part of the message above: indented, or of a stack trace."""
    return _CONTINUES.match(text) is not None


def pattern_reader(pattern: str | re.Pattern[str]) -> Callable[[str, int, int], Row | None]:
    r"""Return the reader of lines by a pattern with named groups; ValueError without any that is known.

    Examples
    --------
    >>> read = pattern_reader(r"(?P<time>\S+) (?P<level>\w+) \[(?P<trace_id>\w*)\] (?P<message>.*)")
    >>> read("2026-11-21T14:00:03Z WARN [a1] slow", 1, 0)[:4]
    ('2026-11-21T14:00:03Z', 'WARN', 'slow', 'a1')
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"expected a regular expression as pattern=, found {pattern!r:.80}: {error}") from error
    slots = {}
    for name in compiled.groupindex:
        if (found := slot_of(name)) is None:
            raise ValueError(f"expected groups named {', '.join(_NAMES)} in pattern=, found {name!r}")
        slots[SLOTS.index(found[0])] = name
    if not slots:
        raise ValueError(f"expected a pattern with groups named {', '.join(_NAMES)}, found none in {pattern!r:.80}")

    def read(text: str, line: int, offset: int) -> Row | None:
        found = compiled.search(text)
        if found is None:
            return None
        values = [found[slots[slot]] or None if slot in slots else None for slot in range(len(SLOTS))]
        values[2] = values[2] if 2 in slots else text  # noqa: PLR2004 - the slot of the message
        return row_of(values, line, offset)

    return read
