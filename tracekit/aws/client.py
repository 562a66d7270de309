"""Calls of AWS operations: the raw answer, retried if that can help, or a ``PullError``.

botocore makes one attempt per call; retries happen here, so that attempts are counted, throttling slows down all
workers, and Ctrl-C does not wait for a sleeping retry.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from tracekit.aws.access import (
    ACCESS_DENIED,
    CHECK_ENDPOINT,
    INVALID_CREDENTIALS,
    Access,
    endpoint_problem,
    is_credential_error,
)
from tracekit.errors import PullError
from tracekit.pull.calls import Backoff, NoAnswerError, RejectedError

if TYPE_CHECKING:
    from collections.abc import Callable

_BODY = "tracekit-body"
_BROKEN = "a connection that failed"
_TRANSIENT = frozenset({429, 500, 502, 503, 504})
_NOT_OK, _CLIENT_ERROR, _TOO_MANY, _SERVER_ERROR = 300, 400, 429, 500
_THROTTLED = frozenset(
    {
        "LimitExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_RESUME = "then rerun with the same folder to resume"
_REMEDIES = {
    **{code: f"{todo}, {_RESUME}" for code, todo in INVALID_CREDENTIALS.items()},
    **dict.fromkeys(ACCESS_DENIED, f"allow {{service}}:{{operation}} to these credentials, {_RESUME}"),
}
Answer = TypeVar("Answer")


class Caller(Backoff):
    """Calls AWS operations with retries.

    Parameters
    ----------
    session, region, profile
        As for ``Access``.
    attempts
        Attempts per call.
    backoff_s
        First backoff in seconds, doubled each time up to 20 s, with jitter.
    connections
        Parallel calls.

    Raises
    ------
    PullError
        No region, no credentials, or an unknown profile.
    """

    def __init__(
        self,
        session: Any = None,
        *,
        region: str | None = None,
        profile: str | None = None,
        attempts: int,
        backoff_s: float,
        connections: int,
    ) -> None:
        from botocore.config import Config  # noqa: PLC0415 - heavy, and most users of tracekit never call AWS

        super().__init__(backoff_s)
        self._access = Access(session, region=region, profile=profile)
        self._attempts = attempts
        self._clients: dict[str, Any] = {}
        self._senders: dict[str, _Sender] = {}
        self._config = Config(
            retries={"mode": "standard", "total_max_attempts": 1},
            connect_timeout=10,
            read_timeout=60,
            max_pool_connections=connections,
            user_agent="tracekit",  # boto3 rebuilds its own for every call, 10% of its time
        )

    @property
    def region(self) -> str:
        """The AWS region."""
        return self._access.region

    def _client(self, service: str) -> Any:
        """Return the boto3 client of a service, with raw answers."""
        with self._lock:
            if service not in self._clients:
                client = self._access.session.client(service, region_name=self.region, config=self._config)
                self._senders[service] = _Sender(client, self._access.ca_bundle())
                client.meta.events.register("before-call", self._senders[service])
                self._clients[service] = client
            return self._clients[service]

    def close(self) -> None:
        """Close the connections."""
        for one in (*self._clients.values(), *self._senders.values()):
            one.close()

    def call(self, service: str, operation: str, answer: type[Answer], **parameters: Any) -> Answer:
        """Return the answer of an operation."""
        client = self._client(service)
        name = client.meta.method_to_api_mapping[operation]
        decode = _decoder(answer)
        reason, request_id, is_throttled = "", "", False
        for attempt in range(self._attempts):
            self.wait(attempt)
            self.counts[name] += 1
            body, reason, request_id, is_throttled = self._attempt(
                getattr(client, operation), name, service, parameters
            )
            if body is not None:
                try:
                    return decode(body)
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                    reason = f"an invalid body ({error}): {body[:60]!r} (check for a proxy)"
            self.counts["retries"] += 1
            if is_throttled:
                self.throttle(attempt)
        message = self._access.cleaned(
            f"expected an answer of {name} in {self.region}, found {reason} at each of {self._attempts} attempts"
        )
        if is_throttled:
            message += "; rerun later with the same folder and less concurrency to resume"
            raise PullError(message, operation=name, request_id=request_id)
        message += f" (request id {request_id or 'unknown'})"
        message += f"; {self._access.hint(service)}" * reason.startswith(_BROKEN)
        raise NoAnswerError(message, operation=name, request_id=request_id)

    def _attempt(
        self, method: Callable[..., Any], name: str, service: str, parameters: dict[str, Any]
    ) -> tuple[bytes | None, str, str, bool]:
        """Return (body, reason for having none, request id, whether throttled) of one attempt."""
        from botocore import exceptions  # noqa: PLC0415 - heavy

        rejected: tuple[dict[str, Any], Exception | None] = {}, None
        try:
            found = method(**parameters)
        except exceptions.ClientError as error:
            is_own = error.operation_name == name  # else from assuming a role
            rejected = error.response, None if is_own else error
        except (exceptions.HTTPClientError, exceptions.ConnectionError, OSError) as error:
            return None, f"{_BROKEN} ({type(error).__name__}: {error})", "", False
        except RecursionError as error:  # raised by botocore's parser of errors
            return None, f"an invalid body ({error}; check for a proxy)", "", False
        except exceptions.BotoCoreError as error:  # an invalid parameter: a retry does not help
            rejected = {}, error
        else:
            return found[_BODY], "", str(found["ResponseMetadata"].get("RequestId", "")), False
        # outside the handlers, so that no traceback contains an error with credentials
        response, other_error = rejected
        if other_error is None:
            return self._failed(response, name, service)
        if is_credential_error(other_error) or isinstance(other_error, exceptions.ClientError):
            text = f"expected credentials for {name}, {self._access.explained(other_error)}, {_RESUME}"
        else:
            text = self._access.cleaned(f"{name}: {other_error}")
        raise RejectedError(text, code=type(other_error).__name__, reason=text, operation=name)

    def _failed(self, response: dict[str, Any], name: str, service: str) -> tuple[None, str, str, bool]:
        """Return the reason of an error that a retry may resolve; raise RejectedError for others."""
        error, about = response.get("Error", {}), response.get("ResponseMetadata", {})
        code, status = str(error.get("Code", "")), int(about.get("HTTPStatusCode", 0))
        request_id = str(about.get("RequestId", ""))
        text = self._access.cleaned(" ".join(str(error.get("Message", "")).split()))[:300]
        problem = endpoint_problem(status, text)
        if problem and status not in _TRANSIENT:
            message = f"{service}:{name}: {problem}; {CHECK_ENDPOINT}"
            raise RejectedError(message, code=str(status), reason=problem, operation=name, request_id=request_id)
        if code in _THROTTLED or status == _TOO_MANY:
            return None, f"throttling ({code}: {text})", request_id, True
        if status >= _SERVER_ERROR:
            return None, f"a server error ({problem or f'{status} {code}: {text}'})", request_id, False
        remedy = _REMEDIES.get(code, "").format(service=service, operation=name)
        if status < _CLIENT_ERROR:
            text = f"a redirect to {about.get('HTTPHeaders', {}).get('location') or 'nowhere'}"
            remedy = "check for a proxy that requires a login"
        message = f"expected an answer of {name} in {self.region}, found {status} {code}: {text}"
        message += f"; {remedy}" * bool(remedy) + f" (request id {request_id or 'unknown'})"
        raise RejectedError(message, code=code, reason=text, operation=name, request_id=request_id)


class _Sender:
    """Sends botocore's signed request over an endpoint with the client's settings and keeps the bytes of the answer.

    Skips botocore's retries and parser, which take longer than the rest of a call.
    """

    def __init__(self, client: Any, ca_bundle: Any) -> None:
        from botocore.endpoint import EndpointCreator  # noqa: PLC0415 - heavy

        about, config = client.meta, client.meta.config
        self._events = about.events
        self._endpoint = EndpointCreator(about.events).create_endpoint(
            about.service_model,
            about.region_name,
            about.endpoint_url,
            verify=ca_bundle,
            timeout=(config.connect_timeout, config.read_timeout),
            max_pool_connections=config.max_pool_connections,
            proxies=config.proxies,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
            client_cert=config.client_cert,
            proxies_config=config.proxies_config,
        )

    def close(self) -> None:
        """Close the connections."""
        self._endpoint.close()

    def __call__(self, *, model: Any, params: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]]:
        from botocore.endpoint import convert_to_response_dict  # noqa: PLC0415 - heavy
        from botocore.hooks import first_non_none_response  # noqa: PLC0415 - heavy
        from botocore.parsers import create_parser  # noqa: PLC0415 - heavy

        request = self._endpoint.create_request(params, model)
        request.stream_output = False  # so that a body that ends early is a failed attempt
        name = f"before-send.{model.service_model.service_id.hyphenize()}.{model.name}"
        answer = first_non_none_response(self._events.emit(name, request=request))
        if answer is None:
            answer = self._endpoint.http_session.send(request)
        if answer.status_code < _NOT_OK:
            about = {"RequestId": answer.headers.get("x-amzn-RequestId", "")}
            return answer, {_BODY: answer.content, "ResponseMetadata": about}
        parser = create_parser(model.service_model.resolved_protocol)
        return answer, parser.parse(convert_to_response_dict(answer, model), model.output_shape)


_DECODERS: dict[type, Callable[[bytes], Any]] = {}


def _decoder(answer: type[Answer]) -> Callable[[bytes], Answer]:
    """Return the decoder of an answer type."""
    if answer not in _DECODERS:
        _DECODERS[answer] = getattr(answer, "of", None) or msgspec.json.Decoder(answer).decode
    return _DECODERS[answer]
