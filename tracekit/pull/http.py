"""HTTP requests to a backend: retries, limits, redirects, and errors without credentials."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import unquote, urlencode, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import msgspec
import urllib3
from urllib3.exceptions import HTTPError, SSLError

from tracekit.pull.calls import Backoff, NoAnswerError, RejectedError
from tracekit.pull.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from tracekit.pull.backend import Calls

LARGEST_BODY = 256 << 20  # bytes after decompression
_CHUNK = 1 << 20
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "tracekit"}
_ONCE = urllib3.Retry(total=False, redirect=False)
_REDIRECTS = 5
_OK, _REDIRECT, _CLIENT_ERROR, _TOO_MANY, _SERVER_ERROR = 200, 300, 400, 429, 500
_DENIED = {401: "not authenticated", 403: "not permitted"}
_TOO_LARGE = {413, 422}
_MOST_RETRY_AFTER_S = 120.0
_RESUME = "rerun with the same folder to resume"
_SET_CREDENTIALS = "set credentials= (--credentials FILE) or the environment variable TRACEKIT_PULL_HEADERS"
Answer = TypeVar("Answer")


class _Request(NamedTuple):
    """One request, without credentials until it is sent."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None


class _Response(NamedTuple):
    """A response that was read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Http(Backoff):
    """Sends requests to one server.

    Parameters
    ----------
    url
        The base URL, without credentials and query.
    credentials
        Sent to this server only, not to others that it redirects to.
    attempts, backoff_s
        Attempts per request, and the first backoff in seconds.
    connections
        Parallel requests.
    ca_file
        Certificates of authorities to trust instead of the system's.
    timeout_s
        Seconds to wait for a connection, and between two parts of an answer.

    Raises
    ------
    ValueError
        Not an HTTP URL, or one that contains credentials.
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials,
        *,
        attempts: int,
        backoff_s: float,
        connections: int,
        ca_file: str | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        super().__init__(backoff_s)
        self.base = checked_url(url)
        self.server = _origin(self.base)
        self.clock_offset_s: float | None = None
        self._credentials = credentials
        self._attempts = attempts
        timeout = urllib3.Timeout(connect=min(10.0, timeout_s), read=timeout_s)
        options: dict[str, Any] = {
            "maxsize": connections,
            "block": True,
            "timeout": timeout,
            "ca_certs": ca_file,
            "retries": False,
        }
        proxy = _proxy_of(self.base)
        self._pools = urllib3.PoolManager(**options) if proxy is None else _through(proxy, options)
        self._own = self._pools.connection_from_url(self.base)
        self._path = urlsplit(self.base).path

    def close(self) -> None:
        """Close the connections."""
        self._pools.clear()

    def get(
        self,
        path: str,
        parameters: Sequence[tuple[str, str]],
        decode: Callable[[bytes], Answer],
        *,
        absent: Collection[int] = (),
        headers: Mapping[str, str] | None = None,
        body: object = None,
        method: str = "",
    ) -> Answer | None:
        """Return the decoded answer, or None for one of the statuses that mean that there is none.

        A request with a body, sent as JSON, is a POST unless ``method`` is another; such a request is not redirected.

        Raises RejectedError if a retry does not help (``code``: the status, ``html``, ``tls``, ``redirect`` or
        ``too_large``), and NoAnswerError after all attempts.
        """
        target = f"{self._path}{path}" + (f"?{urlencode(parameters)}" if parameters else "")
        request = _Request(method or ("GET" if body is None else "POST"), target, dict(headers or {}), None)
        if body is not None:
            with_type = {**request.headers, "Content-Type": "application/json"}
            request = request._replace(headers=with_type, body=msgspec.json.encode(body))
        reason, is_throttled = "", False
        for attempt in range(self._attempts):
            self.wait(attempt)
            self.counts["calls"] += 1
            response, reason = self._attempt(request)
            is_throttled = response is not None and response.status == _TOO_MANY
            if response is not None and response.status in absent:
                return None
            if response is not None and not reason:
                self._check(response, path)
                try:
                    return decode(response.body)
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                    reason = f"an invalid body ({error}): {response.body[:60]!r}"
            self.counts["retries"] += 1
            if is_throttled and response is not None:
                self.throttle(attempt, _retry_after(response.headers))
        reason = self._credentials.cleaned(reason)
        hint = f"check the URL, then {_RESUME}" if not is_throttled else f"use less concurrency, then {_RESUME}"
        message = f"expected an answer from {self.server} ({path}), found {reason} at each of {self._attempts} attempts"
        raise NoAnswerError(f"{message}; {hint}", operation=path)

    def _attempt(self, request: _Request) -> tuple[_Response | None, str]:
        """Return the response and the reason to try again, empty if there is none."""
        failure = ""
        try:
            response = self._send(request)
            if response.status in _DENIED and self._credentials.refresh():
                response = self._send(request)
        except SSLError as error:
            failure = str(error)
        except (HTTPError, OSError) as error:
            return None, f"a connection that failed ({type(error).__name__}: {error})"
        if failure:  # outside the handler, so that no traceback contains the request
            advice = "pass ca_file= (--ca-file) with the certificate of its authority"
            raise RejectedError(
                f"expected a valid TLS certificate of {self.server}, found {failure}; {advice}",
                code="tls",
                reason=failure,
            )
        if response.status == _TOO_MANY:
            return response, "throttling (429)"
        if response.status >= _SERVER_ERROR:
            return response, f"a server error ({response.status}: {_shortened(response.body)})"
        return response, ""

    def _send(self, request: _Request) -> _Response:
        """Return the response after redirects; other servers do not receive credentials."""
        pool, url, is_own, target = self._own, self.server + request.target, True, request.target
        for _ in range(_REDIRECTS + 1):
            sent = {**_HEADERS, **request.headers, **(self._credentials.headers if is_own else {})}
            to_proxy = pool.proxy is not None and pool.scheme == "http" and url.startswith("http://")
            response = self._read(pool, request._replace(target=url if to_proxy else target, headers=sent))
            location = response.headers.get("location")
            if not (_REDIRECT <= response.status < _CLIENT_ERROR and location):
                return response
            if request.method != "GET":
                break
            url = urljoin(url, location)
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                break
            pool, is_own = self._pools.connection_from_url(url), _origin(url) == self.server
            target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
        message = (
            f"expected an answer from {self.server}, found a redirect that leads nowhere; check the URL and proxies"
        )
        raise RejectedError(message, code="redirect")

    def _read(self, pool: urllib3.HTTPConnectionPool, request: _Request) -> _Response:
        """Return one response, read to its end."""
        response = pool.urlopen(
            request.method,
            request.target,
            body=request.body,
            headers=request.headers,
            retries=_ONCE,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
        )
        try:
            body = self._body(response)
        except BaseException:
            response.close()
            raise
        finally:
            response.release_conn()
        self._note_clock(response.headers)
        return _Response(response.status, response.headers, body)

    def _body(self, response: urllib3.BaseHTTPResponse) -> bytes:
        """Return the body of a response, decompressed."""
        parts, size = [], 0
        for part in response.stream(_CHUNK, decode_content=True):
            self.sleep(0)  # raises if the pull was stopped
            parts.append(part)
            size += len(part)
            if size > LARGEST_BODY:
                message = (
                    f"expected an answer of at most {LARGEST_BODY >> 20} MiB from {self.server}, found a larger one"
                )
                raise RejectedError(f"{message}; narrow the period or the query", code="too_large")
        return b"".join(parts)

    def _note_clock(self, headers: Mapping[str, str]) -> None:
        """Keep how far the server's clock is ahead of this one, from the first answer."""
        date = headers.get("date")
        if self.clock_offset_s is None and date:
            try:
                self.clock_offset_s = round(parsedate_to_datetime(date).timestamp() - time.time(), 1)
            except (TypeError, ValueError):
                self.clock_offset_s = None

    def _check(self, response: _Response, path: str) -> None:
        """Raise RejectedError for a response that is not an answer."""
        status, where = response.status, f"{self.server} ({path})"
        text = self._credentials.cleaned(_shortened(response.body))
        if status in _DENIED:
            message = f"expected access to {where}, found {status} ({_DENIED[status]}): {text}; {_SET_CREDENTIALS}"
            raise RejectedError(f"{message}, then {_RESUME}", code=str(status), reason=text, operation=path)
        if _is_html(response):
            message = f"expected JSON from {where}, found an HTML page ({text}); check the URL, and for a login page"
            raise RejectedError(
                message, code="html" if status < _CLIENT_ERROR else str(status), reason=text, operation=path
            )
        if status in _TOO_LARGE:
            message = f"expected an answer from {where}, found {status}: {text}; narrow the period or the query"
            raise RejectedError(message, code="too_large", reason=text, operation=path)
        if status >= _REDIRECT:
            message = f"expected an answer from {where}, found {status}: {text}; check the URL and the query"
            raise RejectedError(message, code=str(status), reason=text, operation=path)


def http_of(url: str, calls: Calls) -> Http:
    """Return the client of a server."""
    return Http(
        url,
        Credentials(calls.credentials),
        attempts=calls.attempts,
        backoff_s=calls.backoff_s,
        connections=calls.concurrency,
        ca_file=None if calls.ca_file is None else str(calls.ca_file),
    )


def one_line(raw: bytes | msgspec.Raw) -> bytes:
    """Return JSON without line breaks; JSON strings contain none."""
    return bytes(raw).replace(b"\n", b" ").replace(b"\r", b" ")


def checked_url(url: str) -> str:
    """Return a base URL without a trailing slash; ValueError if it is not usable, without showing credentials in it."""
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_valid = False
    if is_valid and "@" in parts.netloc:
        raise ValueError(
            f"expected a URL without user and password, found one for {parts.hostname}; {_SET_CREDENTIALS}"
        )
    if not is_valid or parts.query or parts.fragment:
        raise ValueError(f"expected a URL such as http://localhost:16686, found {url.partition('?')[0][:80]!r}")
    return url.rstrip("/")


def _proxy_of(url: str) -> str | None:
    """Return the proxy that the environment names for a URL (HTTP_PROXY, HTTPS_PROXY, NO_PROXY), None without one."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    is_here = host == "localhost" or host.startswith("127.") or host == "::1"
    return None if is_here or proxy_bypass(host) else getproxies().get(parts.scheme)


def _through(proxy: str, options: dict[str, Any]) -> urllib3.ProxyManager:
    """Return connections through a proxy, with the user and password of its URL."""
    parts = urlsplit(proxy if "//" in proxy else f"http://{proxy}")
    headers = None
    if parts.username is not None:
        headers = urllib3.make_headers(proxy_basic_auth=f"{unquote(parts.username)}:{unquote(parts.password or '')}")
    place = parts.netloc.rpartition("@")[2]
    return urllib3.ProxyManager(f"{parts.scheme}://{place}", proxy_headers=headers, **options)


def _origin(url: str) -> str:
    """Return scheme, host and port of a URL."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{port}"


def _is_html(response: _Response) -> bool:
    """Return whether a response is a page for people."""
    kind = response.headers.get("content-type") or ""
    return kind.startswith("text/html") or response.body[:200].lstrip()[:1] == b"<"


def _retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds of ``Retry-After``, 0 without; both of its forms."""
    text = headers.get("retry-after") or ""
    try:
        seconds = float(text) if text.strip().isdigit() else parsedate_to_datetime(text).timestamp() - time.time()
    except (TypeError, ValueError):
        return 0.0
    return min(max(seconds, 0.0), _MOST_RETRY_AFTER_S)


def _shortened(body: bytes) -> str:
    """Return the beginning of a body as text in one line."""
    return " ".join(body[:2000].decode("utf-8", "replace").split())[:200]
