"""Answers of OTLP/HTTP in the encoding of the request: success, partial success, and google.rpc.Status for errors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus

PROTOBUF, JSON = "application/x-protobuf", "application/json"
_INVALID, _DEADLINE, _DENIED, _EXHAUSTED, _UNIMPLEMENTED, _UNAVAILABLE = 3, 4, 7, 8, 12, 14
_CODES = {  # of google.rpc.Code
    HTTPStatus.FORBIDDEN: _DENIED,
    HTTPStatus.NOT_FOUND: _UNIMPLEMENTED,
    HTTPStatus.METHOD_NOT_ALLOWED: _UNIMPLEMENTED,
    HTTPStatus.REQUEST_TIMEOUT: _DEADLINE,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: _EXHAUSTED,
    HTTPStatus.NOT_IMPLEMENTED: _UNIMPLEMENTED,
    HTTPStatus.SERVICE_UNAVAILABLE: _UNAVAILABLE,
}
_REJECTED, _MESSAGE, _PARTIAL = 1, 2, 1  # field numbers


@dataclass(frozen=True)
class Answer:
    """A response.

    Parameters
    ----------
    status
        The HTTP status.
    content_type, body
        Of the response.
    headers
        Others.
    closes
        Whether the connection is closed after it.
    """

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    closes: bool = False


class RefusedError(Exception):
    """A request that is answered with an error.

    Parameters
    ----------
    status
        The HTTP status.
    message
        What was expected, what was found and what to do.
    headers
        Other headers of the answer.
    closes
        Whether the connection is closed after it, because the rest of the request was not read.
    """

    def __init__(
        self, status: int, message: str, *, headers: tuple[tuple[str, str], ...] = (), closes: bool = True
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.headers, self.closes = HTTPStatus(status), message, headers, closes

    def answer(self, content_type: str) -> Answer:
        """Return the answer with a google.rpc.Status."""
        code = _CODES.get(self.status, _INVALID)
        if content_type == PROTOBUF:
            body = _varint_field(1, code) + _text_field(2, self.message)
        else:
            body = json.dumps({"code": code, "message": self.message}).encode()
        return Answer(self.status, content_type, body, self.headers, self.closes)


def accepted(content_type: str, rejected_count: int = 0, message: str = "") -> Answer:
    """Return an ExportTraceServiceResponse: a partial success if spans were rejected or there is a message."""
    if content_type == PROTOBUF:
        partial = _varint_field(_REJECTED, rejected_count) * bool(rejected_count)
        partial += _text_field(_MESSAGE, message) * bool(message)
        body = _bytes_field(_PARTIAL, partial) if partial else b""
    else:
        partial_success = {"rejectedSpans": str(rejected_count), "errorMessage": message}
        body = json.dumps({"partialSuccess": partial_success} if rejected_count or message else {}).encode()
    return Answer(HTTPStatus.OK, content_type, body)


def _varint(value: int) -> bytes:
    """Return a number in protobuf."""
    pieces = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        pieces.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*pieces, value])


def _varint_field(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _bytes_field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _text_field(number: int, text: str) -> bytes:
    return _bytes_field(number, text.encode())
