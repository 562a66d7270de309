"""Credentials go to their server only and are never shown; what is not an answer stops the pull with a reason."""

import base64
import datetime as dt
import json
import ssl
import subprocess
import threading

import pytest
from fake_backends import HTML, SECRET, FakeBackend, Trace

import tracekit as tk
from tracekit.pull.credentials import Credentials
from tracekit.pull.http import Http, _proxy_of

PERIOD = {"start": "2025-10-09T08:53:00Z", "end": "2025-10-09T08:55:00Z", "backoff_s": 0.0, "attempts": 2}
TOKEN = SECRET.removeprefix("Bearer ")


def everything(error):
    """The texts of an exception and of those behind it, with the local variables that tracebacks show."""
    while error is not None:
        yield str(error)
        yield repr(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def given_as(way, tmp_path, monkeypatch):
    if way == "callable":
        return lambda: {"Authorization": SECRET}
    if way == "file":
        (tmp_path / "headers").write_text(f"# for the tests\nAuthorization: {SECRET}\n")
        return tmp_path / "headers"
    monkeypatch.setenv("TRACEKIT_PULL_HEADERS", f"Authorization: {SECRET}\nX-Scope-OrgID: team-a")
    return None


@pytest.mark.parametrize("way", ["callable", "file", "environment"])
def test_credentials_are_sent_and_stored_nowhere(serve, tmp_path, monkeypatch, way):
    server = serve("tempo", [Trace(n) for n in range(3)], secret=SECRET)
    pull = tk.pull(
        "tempo",
        server.url,
        folder=tmp_path / "a",
        credentials=given_as(way, tmp_path, monkeypatch),
        on_progress=lambda _: None,
        **PERIOD,
    )
    assert pull.counts == {"returned": 3}
    files = [path for path in (tmp_path / "a").rglob("*") if path.is_file()]
    assert len(files) >= 3
    texts = [path.read_bytes() for path in files] + [
        repr(pull).encode(),
        str(pull.ledger.to_numpy().tolist()).encode(),
        pull.traces.sources.to_json().encode(),
    ]
    assert not any(TOKEN.encode() in text for text in texts)


def test_an_error_of_the_server_that_repeats_the_token_is_masked(serve, tmp_path):
    server = serve("tempo", [Trace(1)], secret="Bearer another")
    with pytest.raises(
        tk.PullError, match=r"found 401 \(not authenticated\): bad token \*\*\*; set credentials="
    ) as caught:
        tk.pull("tempo", server.url, folder=tmp_path / "a", credentials=lambda: {"Authorization": SECRET}, **PERIOD)
    assert not any(TOKEN in text for text in everything(caught.value))


def test_expired_credentials_are_read_again(serve, tmp_path):
    server = serve("tempo", [Trace(1)], secret=SECRET)
    given = iter(["Bearer expired", SECRET])
    last = []

    def credentials():
        last.append(next(given, SECRET))
        return {"Authorization": last[-1]}

    assert tk.pull("tempo", server.url, folder=tmp_path / "a", credentials=credentials, **PERIOD).counts == {
        "returned": 1
    }


def test_a_redirect_to_another_host_does_not_carry_credentials(serve, tmp_path):
    other = serve("zipkin", [Trace(1)])
    server = serve("zipkin", redirect=other.url)
    pull = tk.pull("zipkin", server.url, folder=tmp_path / "a", credentials=lambda: {"Authorization": SECRET}, **PERIOD)
    assert pull.counts == {"returned": 1}
    assert all(headers.get("Authorization") == SECRET for headers in server.sent_headers)
    assert other.sent_headers
    assert not any("Authorization" in headers for headers in other.sent_headers)


def test_a_redirect_to_itself_ends(serve, tmp_path):
    server = serve("zipkin")
    server.traits["redirect"] = server.url
    with pytest.raises(tk.PullError, match="a redirect that leads nowhere; check the URL and proxies"):
        tk.pull("zipkin", server.url, folder=tmp_path / "a", **PERIOD)


@pytest.mark.parametrize("kind", ["jaeger", "tempo", "zipkin"])
def test_a_page_for_people_is_not_an_answer(serve, tmp_path, monkeypatch, kind):
    server = serve(kind)
    monkeypatch.setattr("fake_backends._Handler." + kind, lambda *_: (200, HTML))
    with pytest.raises(tk.PullError, match=r"expected JSON from .*found an HTML page .*sign in.*check the URL"):
        tk.pull(kind, server.url, folder=tmp_path / "a", service="web", **PERIOD)


def test_an_answer_that_is_too_large_halves_the_window(serve, tmp_path, monkeypatch):
    server = serve("zipkin", [Trace(n) for n in range(60)])
    from tracekit.pull import http  # noqa: PLC0415 - the package's name is that of the function

    monkeypatch.setattr(http, "LARGEST_BODY", 5_000)
    pull = tk.pull("zipkin", server.url, folder=tmp_path / "a", **PERIOD)
    assert pull.counts == {"returned": 60}


def test_retry_after_makes_all_requests_wait(serve):
    server = serve("zipkin", [Trace(1)], faults=[429])
    http = Http(server.url, Credentials(), attempts=2, backoff_s=0.0, connections=1)
    waited = []
    http.sleep = waited.append
    assert http.get("/info", [], json.loads) == {"zipkin": {"version": "3.4.1"}}
    assert http.counts == {"calls": 2, "retries": 1, "throttled": 1}


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("7", 7, 7), ("9999", 120, 120), ("soon", 0, 0), ("-3", 0, 0), ("", 0, 0), ("in 30 s", 25, 31)],
)
def test_both_forms_of_retry_after(text, low, high):
    from tracekit.pull.http import _retry_after  # noqa: PLC0415 - no other way to see a number of seconds

    if text.startswith("in"):
        text = f"{dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30):%a, %d %b %Y %H:%M:%S} GMT"
    assert low <= _retry_after({"retry-after": text}) <= high


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://user:pa55word@localhost:3200", "a URL without user and password, found one for localhost"),
        ("localhost:3200", "a URL such as http://localhost:16686, found 'localhost:3200'"),
        (
            "http://localhost:3200/?token=pa55word",
            "a URL such as http://localhost:16686, found 'http://localhost:3200/'",
        ),
        ("http://localhost:99999", "a URL such as"),
    ],
)
def test_urls_that_are_refused(tmp_path, url, message):
    with pytest.raises(ValueError, match=message) as caught:
        tk.pull("tempo", url, folder=tmp_path / "a", **PERIOD)
    assert "pa55word" not in str(caught.value)
    assert not (tmp_path / "a").exists()


def test_a_base_path_is_kept(serve, tmp_path):
    server = serve("jaeger", [Trace(1)], base="/jaeger")
    assert tk.pull("jaeger", f"{server.url}/jaeger/", folder=tmp_path / "a", **PERIOD).counts == {"returned": 1}


# ------------------------------------------------------------------ TLS


@pytest.fixture
def tls_server(tmp_path):
    """A Zipkin with a certificate that no authority signed."""
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days",
         "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
        cwd=tmp_path, capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("openssl is not installed")
    server = FakeBackend("zipkin", [Trace(1)])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_certificate_that_does_not_verify_stops_the_pull(tls_server, tmp_path):
    with pytest.raises(tk.PullError, match=r"a valid TLS certificate of https://127.*self.signed.*pass ca_file="):
        tk.pull("zipkin", tls_server, folder=tmp_path / "a", **PERIOD)


def test_a_certificate_of_a_known_authority_is_accepted(tls_server, tmp_path):
    pull = tk.pull("zipkin", tls_server, folder=tmp_path / "a", ca_file=tmp_path / "cert.pem", **PERIOD)
    assert pull.counts == {"returned": 1}


def test_the_proxy_of_the_environment_is_used_except_for_this_machine(serve, tmp_path, monkeypatch):
    server = serve("tempo", [Trace(1)])
    monkeypatch.setenv("http_proxy", server.url.replace("//", "//me:secret%20word@"))
    monkeypatch.setenv("no_proxy", "inside.example")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    pull = tk.pull("tempo", "http://tempo.example:3200", folder=tmp_path / "a", **PERIOD)
    assert pull.counts == {"returned": 1}
    assert set(pull.ledger["server"]) == {"http://tempo.example:3200"}
    word = base64.b64encode(b"me:secret word").decode()
    assert {sent["proxy-authorization"] for sent in server.sent_headers} == {f"Basic {word}"}
    assert {sent["Host"] for sent in server.sent_headers} == {"tempo.example:3200"}
    assert "secret" not in (tmp_path / "a" / ".pull" / "plan.json").read_text()
    assert _proxy_of("http://inside.example") is None
    assert _proxy_of("http://localhost:3200") is None
    assert _proxy_of("https://tempo.example") is None
    with pytest.raises(tk.PullError, match=r"inside\.example"):
        tk.pull("tempo", "http://inside.example:1", folder=tmp_path / "b", **PERIOD)
