"""Log records in JSON: one object per line, OTLP documents, CloudWatch exports, or messages that contain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tracekit.loading.logs.fields import SLOTS, Plans, flat
from tracekit.loading.logs.otlp import KEYS as OTLP
from tracekit.loading.logs.otlp import each, otlp_rows
from tracekit.loading.logs.plain import message_row, text_row
from tracekit.loading.logs.table import Row, row_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_WIDTH: Final = len(SLOTS)
_TIME, _MESSAGE = SLOTS.index("time"), SLOTS.index("message")
_CONTAINERS: Final = frozenset({*OTLP, "events", "logEvents", "results"})
_DEEPEST: Final = 4  # of JSON in messages of JSON
decode: Final = msgspec.json.Decoder().decode


class Records:
    """Turns JSON values into rows; ``formats`` are those that were found."""

    def __init__(self, formats: dict[str, None]) -> None:
        self._plans = Plans()
        self._formats = formats

    def rows(self, value: Any, line: int, offset: int) -> Iterator[Row | Exception]:
        """Yield the log records in a JSON value, and for what is none the reason."""
        if type(value) is list:
            for one in value:
                yield from self.rows(one, line, offset)
            return
        if type(value) is not dict:
            yield TypeError(f"expected a JSON object, found {value!r:.60}")
            return
        events = value.get("events", value.get("logEvents"))
        if any(key in value for key in OTLP):
            self._formats["otlp"] = None
            yield from otlp_rows(value, line, offset)
        elif type(events) is list:
            self._formats["cloudwatch"] = None
            yield from each(events, lambda event: self._event(event, line, offset))
        elif type(value.get("results")) is list:
            self._formats["cloudwatch"] = None
            yield from each(value["results"], lambda row: self.row(_insight(row), line, offset))
        else:
            self._formats["json"] = None
            yield from each([value], lambda record: self.row(record, line, offset))

    def is_record(self, value: Any) -> bool:
        """Return whether a JSON value is one log record, and no document of several."""
        return type(value) is dict and _CONTAINERS.isdisjoint(value)

    def row(self, record: Mapping[str, Any], line: int, offset: int, depth: int = 0) -> Row:
        """Return the row of one record; JSON in its message is part of the record."""
        fields = flat(record)
        values, kinds = self._plans.values(fields)
        if values.count(None) == _WIDTH:
            raise ValueError(
                f"expected fields such as time, level, message and trace_id, found {', '.join(fields)[:80]}"
            )
        if values[_MESSAGE] is None:
            values[_MESSAGE] = msgspec.json.encode(record).decode("utf-8", "replace")
        row = row_of(values, line, offset, kinds)
        message = values[_MESSAGE]
        if type(message) is str and message[:1] == "{" and message.rstrip()[-1:] == "}" and depth < _DEEPEST:
            return self._with_inner(row, record, message, depth)
        return row

    def _with_inner(self, row: Row, record: Mapping[str, Any], message: str, depth: int) -> Row:
        """Return the row of a record with the fields of the JSON in its message, which come first."""
        try:
            inner = decode(message)
        except (ValueError, RecursionError):
            return row
        if type(inner) is not dict or not self._plans.has_fields(flat(inner)) or len(record) == 0:
            return row
        found = self.row(inner, row.line, row.byte_offset, depth + 1)
        return _merged(found, row)

    def _event(self, event: Any, line: int, offset: int) -> Row:
        """Return the row of an event of CloudWatch Logs."""
        if type(event) is not dict or "message" not in event:
            raise TypeError(f"expected an event with timestamp and message, found {event!r:.60}")
        time, message = event.get("timestamp"), event["message"]
        if type(message) is str and message.lstrip()[:1] == "{":
            return self.row({"timestamp": time, "message": message.strip()}, line, offset)
        return self.message(str(message), time, line, offset)

    def message(self, text: str, time: Any, line: int, offset: int) -> Row:
        """Return the row of a message with its time: JSON, or text that may begin with a time of its own."""
        text = text.rstrip("\r\n")
        inner = text_row(text, line, offset)
        return (
            message_row(text, time, line, offset)
            if inner is None
            else _merged(inner, row_of([time, *[None] * (_WIDTH - 1)], line, offset))
        )

    def of_text(self, row: Row) -> Row:
        """Return the row of a line of text whose message may be JSON."""
        message = row.message
        if type(message) is str and message[:1] == "{" and message.rstrip()[-1:] == "}":
            return self._with_inner(row, {"message": message}, message, 0)
        return row


def _merged(inner: Row, outer: Row) -> Row:
    """Return the inner row with what only the outer one has."""
    pairs = zip(inner[:_WIDTH], outer[:_WIDTH], strict=True)
    values = [mine if mine is not None else theirs for mine, theirs in pairs]
    return row_of(values, inner.line, inner.byte_offset, inner.kinds or outer.kinds)


def _insight(row: Any) -> dict[str, Any]:
    """Return a row of Logs Insights, a list of fields and values, as one object."""
    if not isinstance(row, list) or not all(isinstance(one, Mapping) and "field" in one for one in row):
        raise TypeError(f"expected a list of fields and values, found {row!r:.60}")
    return {str(one["field"]): one.get("value") for one in row}
