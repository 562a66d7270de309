"""Calls of AWS read operations from a fixed list; failures become answers without content."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tracekit.aws.access import (
    ACCESS_DENIED,
    INVALID_CREDENTIALS,
    Access,
    EndpointError,
    endpoint_problem,
    is_credential_error,
)
from tracekit.aws.operations import OPERATIONS
from tracekit.errors import PullError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botocore.exceptions import ClientError

DENIED = "denied"
_AT_ONCE = 4
_ERROR = 400
_EXCERPT = 200  # bytes
_TRANSIENT = frozenset({429, 502, 503, 504})


_TRACING_VARIABLES = (
    "AWS_XRAY_",
    "OTEL_",
    "AWS_LAMBDA_EXEC_WRAPPER",
    "AWS_ROLE_ARN",
)  # environment variables that configure tracing
_SECRET = ("HEADERS", "TOKEN", "PASSWORD", "SECRET", "CERTIFICATE", "CLIENT_KEY")
_LEFT_OUT = {  # not needed, possibly confidential
    "AccessKeyId",
    "CloudTrailEvent",
    "ResponseMetadata",
    "certificateAuthority",
    "command",
    "configurationValues",
    "connectorConfig",
    "description",
    "entryPoint",
    "methodSettings",
    "policy",
    "previousRevision",
    "revision",
    "stageVariableOverrides",
    "tags",
    "Tags",
    "variables",
}
HIDDEN = "***"


@dataclass(frozen=True)
class Answer:
    """One call and its answer.

    Parameters
    ----------
    operation
        Service and operation: ``lambda:ListFunctions``.
    request
        Its parameters, times as text.
    content
        The fields of all pages, lists joined; empty if the call failed.
    as_of
        Time of the call, UTC.
    failure
        Why there is no answer: ``denied`` or the error of AWS; empty on success.

    Examples
    --------
    >>> Answer("xray:GetGroups", {}, {"Groups": []}, "2026-11-21T00:00:00+00:00").is_known
    True
    """

    operation: str
    request: dict[str, Any]
    content: dict[str, Any]
    as_of: str
    failure: str = ""

    @property
    def is_known(self) -> bool:
        """Whether the call succeeded."""
        return not self.failure


class _LoopError(Exception):
    """Pagination that does not end."""


class Reader:
    """Calls read operations.

    Parameters
    ----------
    session, region, profile
        As for ``Access``.
    attempts
        Attempts per call.

    Raises
    ------
    PullError
        No region, no credentials, or a profile that is not there.
    """

    def __init__(
        self, session: Any = None, *, region: str | None = None, profile: str | None = None, attempts: int = 8
    ) -> None:
        from botocore.config import Config  # noqa: PLC0415 - heavy, and most users of tracekit never call AWS

        self._config = Config(
            retries={"mode": "standard", "total_max_attempts": attempts}, connect_timeout=10, read_timeout=60
        )
        self._clients: dict[str, Any] = {}
        try:
            self._access = Access(session, region=region, profile=profile)
        except PullError as error:
            raise PullError(f"{error}; or audit a saved folder (from_folder=, --from)") from None
        self.region = self._access.region

    def call(self, operation: str, most_pages: int = 1000, **request: Any) -> Answer:
        """Return the answer of AWS with all pages joined."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - heavy
        from botocore.parsers import ResponseParserError  # noqa: PLC0415 - heavy

        if operation not in OPERATIONS:
            raise ValueError(f"expected a read operation of the audit ({', '.join(OPERATIONS)}), found {operation!r}")
        as_of, sent = datetime.now(UTC).isoformat(timespec="seconds"), plain(request)
        try:
            content = self._pages(operation, most_pages, request)
        except EndpointError as error:
            return Answer(operation, sent, {}, as_of, str(error))
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in INVALID_CREDENTIALS:
                message = f"expected credentials that {operation} accepts, found {code}: {INVALID_CREDENTIALS[code]}"
                raise PullError(message, operation=operation) from None
            if code in ACCESS_DENIED:
                return Answer(operation, sent, {}, as_of, DENIED)
            return Answer(operation, sent, {}, as_of, self._clean(_reason(error)))
        except (BotoCoreError, ResponseParserError, OSError, RecursionError, _LoopError) as error:
            if is_credential_error(error):
                message = f"expected credentials for {operation}, {self._access.explained(error)}"
                raise PullError(message, operation=operation) from None
            return Answer(operation, sent, {}, as_of, self._clean(f"{type(error).__name__}: {error}"))
        if OPERATIONS[operation].key not in content:
            failure = f"an answer without {OPERATIONS[operation].key}; check for a proxy"
            return Answer(operation, sent, {}, as_of, failure)
        return Answer(operation, sent, content, as_of)

    def _pages(self, operation: str, most_pages: int, request: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of all pages: lists joined, other fields from the first page."""
        service, method, _, token_in, token_out, _ = OPERATIONS[operation]
        joined: dict[str, Any] = {}
        token, seen = "", set()
        for _ in range(most_pages):
            page = getattr(self.client(service), method)(**request, **({token_in: token} if token else {}))
            token = page.pop(token_out, "") or ""
            for name, value in plain(page).items():
                if isinstance(value, list):
                    joined[name] = [*joined.get(name, []), *value]
                else:
                    joined.setdefault(name, value)
            if not token:
                break
            if token in seen:
                raise _LoopError(f"a page token that was returned before ({token_out} {str(token)[:40]!r})")
            seen.add(token)
        else:
            joined["is_cut"] = True
        return joined

    def client(self, service: str) -> Any:
        """Return the boto3 client of a service, with retries."""
        if service not in self._clients:
            client = self._access.session.client(service, region_name=self.region, config=self._config)
            client.meta.events.register("before-parse", _check_endpoint)
            self._clients[service] = client
        return self._clients[service]

    def _clean(self, text: str) -> str:
        """Return a text without credentials, which AWS repeats in some errors."""
        return " ".join(self._access.cleaned(text).split())[:300]


def _check_endpoint(response_dict: dict[str, Any], **_: Any) -> None:
    """Raise EndpointError for an error page, which some parsers reject and which botocore retries in vain."""
    status = response_dict["status_code"]
    if status >= _ERROR and status not in _TRANSIENT:
        problem = endpoint_problem(status, response_dict["body"][:_EXCERPT].decode("utf-8", "replace"))
        if problem:
            raise EndpointError(problem)


def _reason(error: ClientError) -> str:
    """Return the code and message of an error, without the operation, so that equal causes are equal texts."""
    about, status = error.response.get("Error", {}), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    message = str(about.get("Message", ""))
    return endpoint_problem(status, message) or f"{about.get('Code', '')}: {message}".rstrip(": ")


def call_each(reader: Reader, operation: str, requests: Sequence[dict[str, Any]]) -> list[Answer]:
    """Return the answers of one operation to many requests, four in parallel."""
    answers = [reader.call(operation, **request) for request in requests[:1]]
    if not answers or answers[0].failure:
        return answers
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [*answers, *pool.map(lambda request: reader.call(operation, **request), requests[1:])]


def batches(size: int, items: Sequence[Any]) -> list[list[Any]]:
    """Return the items in batches."""
    return [list(items[low : low + size]) for low in range(0, len(items), size)]


def plain(value: Any) -> Any:
    """Return an answer of boto3 as JSON values, with times as UTC text and secrets removed.

    Environments of functions and containers contain passwords: only variables that configure tracing are kept.
    """
    text = json.dumps(value, default=_text)
    return json.loads(text, object_hook=_redacted)


def _text(value: Any) -> str:
    """Return a time in UTC, or another value as text."""
    if hasattr(value, "astimezone"):
        from datetime import UTC  # noqa: PLC0415 - only for live answers

        return str(value.astimezone(UTC).isoformat())
    return str(value)


def _redacted(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON object without confidential fields, and with other variables redacted."""
    if isinstance(fields.get("Variables"), dict):
        variables = fields["Variables"]
        fields["Variables"] = {
            name: value if _is_tracing_variable(name) else HIDDEN for name, value in variables.items()
        }
    if isinstance(fields.get("environment"), list):
        for pair in fields["environment"]:
            if isinstance(pair, dict) and not _is_tracing_variable(str(pair.get("name", ""))):
                pair["value"] = HIDDEN
    return {name: value for name, value in fields.items() if name not in _LEFT_OUT}


def _is_tracing_variable(name: str) -> bool:
    """Return whether a variable configures tracing and is no secret."""
    return name.startswith(_TRACING_VARIABLES) and not any(word in name.upper() for word in _SECRET)
