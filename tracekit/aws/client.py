"""One call of an AWS operation: its raw answer, retried where that can help, or a ``PullError`` that says why not.

botocore makes one attempt a call and everything else happens here, so that attempts can be counted, a throttled account
holds all workers back, and Ctrl-C never waits for a sleeping retry.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from tracekit.aws.access import FORBIDDEN, USELESS, Access, is_of_credentials
from tracekit.errors import PullError

if TYPE_CHECKING:
    from collections.abc import Callable

_BODY = "tracekit-body"
_BROKEN = "a connection that failed"
_LONGEST_S = 20.0
_NOT_OK, _REFUSED, _TOO_MANY, _SERVER = 300, 400, 429, 500
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
_AGAIN = "then pull into the same folder again, it goes on"
_NEXT = {
    **{code: f"{todo}, {_AGAIN}" for code, todo in USELESS.items()},
    **dict.fromkeys(FORBIDDEN, f"allow {{service}}:{{operation}} to these credentials, {_AGAIN}"),
}
Answer = TypeVar("Answer")


class RefusedError(PullError):
    """AWS understood the call and will not answer it, however often it is asked."""

    def __init__(self, message: str, *, code: str, reason: str = "", operation: str = "", request_id: str = "") -> None:
        super().__init__(message, operation=operation, request_id=request_id)
        self.code = code
        self.reason = reason


class UnansweredError(PullError):
    """A call got no usable answer, however often it was asked: another one may."""


class StoppedError(Exception):
    """The pull was stopped while a worker was waiting; workers leave by this."""


class Caller:
    """Calls operations of AWS services.

    Parameters
    ----------
    session, region, profile
        As for ``Access``.
    attempts
        How often one call is tried.
    backoff_s
        The first pause; each next one is twice as long, at most 20 s, and part of it is random.
    connections
        How many calls run at once.

    Raises
    ------
    PullError
        No region, no credentials, or a profile that is not there.
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

        self._access = Access(session, region=region, profile=profile)
        self.counts: Counter[str] = Counter()
        self.stopped = threading.Event()
        self._attempts = attempts
        self._backoff_s = backoff_s
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._not_before = 0.0
        self._random = random.Random()  # noqa: S311 - jitter needs no secrecy
        self._config = Config(
            retries={"mode": "standard", "total_max_attempts": 1},
            connect_timeout=10,
            read_timeout=60,
            max_pool_connections=connections,
            user_agent="tracekit",  # boto3 writes its own anew for every call, a tenth of its time
        )

    @property
    def region(self) -> str:
        """The region that is asked."""
        return self._access.region

    def _client(self, service: str) -> Any:
        """Return the client of a service, whose answers keep their bytes."""
        with self._lock:
            if service not in self._clients:
                client = self._access.session.client(service, region_name=self.region, config=self._config)
                client.meta.events.register("before-call", _Sender(client))
                self._clients[service] = client
            return self._clients[service]

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()

    def call(self, service: str, operation: str, answer: type[Answer], **parameters: Any) -> Answer:
        """Return the answer of an operation."""
        client = self._client(service)
        name = client.meta.method_to_api_mapping[operation]
        decode = _decoder(answer)
        reason, request_id, is_throttled = "", "", False
        for attempt in range(self._attempts):
            self._wait(attempt)
            self.counts[name] += 1
            body, reason, request_id, is_throttled = self._attempt(
                getattr(client, operation), name, service, parameters
            )
            if body is not None:
                try:
                    return decode(body)
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                    reason = f"a body that is no answer ({error}): {body[:60]!r} (is there a proxy in between?)"
            self.counts["retries"] += 1
            if is_throttled:
                self.counts["throttled"] += 1
                with self._lock:
                    self._not_before = max(self._not_before, time.monotonic() + self._pause(attempt))
        message = self._access.cleaned(
            f"expected an answer of {name} in {self.region}, found {reason} at each of {self._attempts} attempts"
        )
        if is_throttled:
            message += "; pull into the same folder later, with less concurrency: it goes on"
            raise PullError(message, operation=name, request_id=request_id)
        message += f" (request id {request_id or 'unknown'})"
        message += f"; {self._access.hint(service)}" * reason.startswith(_BROKEN)
        raise UnansweredError(message, operation=name, request_id=request_id)

    def _attempt(
        self, method: Callable[..., Any], name: str, service: str, parameters: dict[str, Any]
    ) -> tuple[bytes | None, str, str, bool]:
        """Return (body, why there is none, request id, whether it was throttled) of one attempt."""
        from botocore import exceptions  # noqa: PLC0415 - heavy

        refused: tuple[dict[str, Any], Exception | None] = {}, None
        try:
            found = method(**parameters)
        except exceptions.ClientError as error:
            is_own = error.operation_name == name  # else of a role that could not be assumed
            refused = error.response, None if is_own else error
        except (exceptions.HTTPClientError, exceptions.ConnectionError, OSError) as error:
            return None, f"{_BROKEN} ({type(error).__name__}: {error})", "", False
        except RecursionError as error:  # botocore reads errors by a parser of its own
            return None, f"a body that is no answer ({error}; is there a proxy in between?)", "", False
        except exceptions.BotoCoreError as error:  # a parameter that is none: asking again does not help
            refused = {}, error
        else:
            return found[_BODY], "", str(found["ResponseMetadata"].get("RequestId", "")), False
        # out here, so that no traceback shows what AWS said with credentials in it
        response, unasked = refused
        if unasked is None:
            return self._failed(response, name, service)
        if is_of_credentials(unasked) or isinstance(unasked, exceptions.ClientError):
            text = f"expected credentials for {name}, {self._access.explained(unasked)}, {_AGAIN}"
        else:
            text = self._access.cleaned(f"{name}: {unasked}")
        raise RefusedError(text, code=type(unasked).__name__, reason=text, operation=name)

    def _failed(self, response: dict[str, Any], name: str, service: str) -> tuple[None, str, str, bool]:
        """Return why an answer was an error; RefusedError where asking again does not help."""
        error, about = response.get("Error", {}), response.get("ResponseMetadata", {})
        code, status = str(error.get("Code", "")), int(about.get("HTTPStatusCode", 0))
        request_id = str(about.get("RequestId", ""))
        text = self._access.cleaned(" ".join(str(error.get("Message", "")).split()))[:300]
        if code in _THROTTLED or status == _TOO_MANY:
            return None, f"throttling ({code}: {text})", request_id, True
        if status >= _SERVER:
            return None, f"a server error ({status} {code}: {text})", request_id, False
        todo = _NEXT.get(code, "").format(service=service, operation=name)
        if status < _REFUSED:
            text = f"sent elsewhere, to {about.get('HTTPHeaders', {}).get('location') or 'nowhere'}"
            todo = "is there a proxy in between that asks for a login?"
        message = f"expected an answer of {name} in {self.region}, found {status} {code}: {text}"
        message += f"; {todo}" * bool(todo) + f" (request id {request_id or 'unknown'})"
        raise RefusedError(message, code=code, reason=text, operation=name, request_id=request_id)

    # ---------------------------------------------------------------- waiting

    def sleep(self, seconds: float) -> None:
        """Wait; StoppedError where the pull was stopped meanwhile."""
        if self.stopped.wait(seconds) if seconds > 0 else self.stopped.is_set():
            raise StoppedError

    def _pause(self, attempt: int) -> float:
        """Return how long to wait after an attempt."""
        return min(_LONGEST_S, self._backoff_s * 2.0**attempt) * self._random.uniform(0.5, 1.0)

    def pause(self, attempt: int) -> None:
        """Wait as after that many attempts."""
        self.sleep(self._pause(attempt))

    def _wait(self, attempt: int) -> None:
        """Wait before an attempt: after a failed one, and while the account is throttled."""
        self.sleep(self._pause(attempt - 1) if attempt else 0)
        self.sleep(max(0.0, self._not_before - time.monotonic()))


class _Sender:
    """Sends what botocore has made of a call, over its own connections, and keeps the bytes of the answer.

    botocore and whoever listens to its events make, sign and may answer the request, as ever.  What it would do after
    that, its retries and its parser, takes longer than all the rest of a call.
    """

    def __init__(self, client: Any) -> None:
        self._endpoint = client._endpoint  # noqa: SLF001 - nothing else holds the proxies, certificates, pool
        self._events = client.meta.events

    def __call__(self, *, model: Any, params: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]]:
        from botocore.endpoint import convert_to_response_dict  # noqa: PLC0415 - heavy
        from botocore.hooks import first_non_none_response  # noqa: PLC0415 - heavy
        from botocore.parsers import create_parser  # noqa: PLC0415 - heavy

        request = self._endpoint.create_request(params, model)
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
    """Return what decodes an answer of this type, made once."""
    if answer not in _DECODERS:
        _DECODERS[answer] = getattr(answer, "of", None) or msgspec.json.Decoder(answer).decode
    return _DECODERS[answer]
