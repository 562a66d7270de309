"""An X-Ray of one's own, with credentials that must never be seen again."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from fake_account import FakeAccount
from fake_xray import FakeXRay

from tracekit.aws.reader import Reader

MARKERS = ("AKIAMARKERMARKER0001", "marker/secret+Key0002", "markerSessionToken0003")


@pytest.fixture
def markers():
    """The credentials."""
    return MARKERS


@pytest.fixture(autouse=True)
def credentials(monkeypatch, tmp_path):
    """Credentials as boto3's own chain finds them, and no other ones."""
    for name, value in zip(("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"), MARKERS, strict=True):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def serve(monkeypatch):
    """Start a server with these traces; it ends with the test."""
    servers = []

    def start(traces=(), **more):
        server = FakeXRay(traces, **more)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def account(monkeypatch):
    """Start an account on loopback, or its X-Ray alone; CloudWatch, IAM and EC2 have nobody who listens."""
    servers = []

    def start(answers, *, is_alone=False):
        server = FakeAccount(answers)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        monkeypatch.setenv("AWS_ENDPOINT_URL_XRAY" if is_alone else "AWS_ENDPOINT_URL", server.url)
        for service in () if is_alone else ("CLOUDWATCH", "IAM", "EC2"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", "http://127.0.0.1:9")
        monkeypatch.setitem(Reader.__init__.__kwdefaults__, "attempts", 2 if is_alone else 1)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def serve_page(monkeypatch):
    """Start an endpoint that answers every request with an HTML error page of a status."""
    servers = []

    def start(status):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                page = b"<!doctype html>\n<html lang=en><title>Error</title><h1>Error</h1></html>"
                self.send_response(status)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)

            do_POST = do_GET  # noqa: N815 - the name that http.server calls

            def log_message(self, *_):
                """Be quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
