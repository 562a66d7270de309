"""A backend of one's own for every test."""

import sys
import threading
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from fake_backends import FakeBackend


@pytest.fixture(autouse=True)
def credentials(monkeypatch):
    """Credentials for S3 alone."""
    monkeypatch.delenv("TRACEKIT_PULL_HEADERS", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "DEFAULT_REGION"):
        monkeypatch.setenv(f"AWS_{name}", "eu-west-1")


@pytest.fixture
def serve(monkeypatch):
    """Start a server with these traces; it ends with the test."""
    servers = []

    def start(kind, traces=(), **more):
        server = FakeBackend(kind, traces, **more)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
