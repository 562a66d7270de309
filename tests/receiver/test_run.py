"""``tk.listen``: what a run offers, with the exporters of the OpenTelemetry SDK, and what it leaves behind."""

import errno
import gc
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from otlp_client import JSON, PROTOBUF, in_json, in_protobuf, port_of, post

import tracekit as tk
from tracekit.receiver.run import Listener

APPLICATION = """
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
provider = TracerProvider(resource=Resource({"service.name": "checkout"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
with trace.get_tracer("app").start_as_current_span("POST /pay"):
    with trace.get_tracer("app").start_as_current_span("SELECT entries"):
        pass
provider.shutdown()
"""


needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are listed in /proc")


def open_files():
    return {str(path.resolve()) for path in Path("/proc/self/fd").iterdir()}


def test_an_application_exports_with_the_variables_of_the_run():
    with tk.listen(port=0) as run:
        subprocess.run([sys.executable, "-c", APPLICATION], env=run.env, check=True, timeout=60)
    spans = run.traces.spans.set_index("name")
    assert set(spans.index) == {"POST /pay", "SELECT entries"}
    assert set(spans["service_name"]) == {"checkout"}
    assert spans.loc["SELECT entries", "parent_span_id"] == spans.loc["POST /pay", "span_id"]


@pytest.mark.parametrize("compression", list(Compression))
def test_every_span_of_the_exporter_arrives_once(compression):
    with tk.listen(port=0) as run:
        exporter = OTLPSpanExporter(f"{run.endpoint}/v1/traces", compression=compression)
        provider = TracerProvider(resource=Resource({"service.name": "shop"}))
        provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=5000))
        tracer = provider.get_tracer("test")
        made = set()
        for number in range(1500):
            with tracer.start_as_current_span(f"op {number}", attributes={"n": number}) as span:
                made.add(f"{span.get_span_context().span_id:016x}")
        provider.shutdown()
        assert run.counts.span_count == 1500
    assert set(run.traces.spans["span_id"]) == made
    assert len(run.traces.spans) == 1500
    assert run.traces.attribute("n").astype(int).sum() == 1500 * 1499 // 2


def test_the_exporter_takes_a_partial_success_for_a_success():
    provider = TracerProvider()
    with tk.listen(port=0) as run, provider.get_tracer("test").start_as_current_span("op") as span:
        span.end()
        exporter = OTLPSpanExporter(f"{run.endpoint}/v1/traces")
        assert exporter.export([span]) is SpanExportResult.SUCCESS
        exporter.shutdown()
    provider.shutdown()


def test_traces_grow_while_it_runs_and_stay_afterwards(tmp_path):
    with tk.listen(port=0) as run:
        assert len(run.traces) == 0
        post(run, in_protobuf([(1, 1)]))
        first = run.traces
        assert run.traces is first, "nothing new came: nothing is read again"
        post(run, in_json([(1, 2), (2, 3)]), JSON)
        assert len(first.spans) == 1
        assert run.traces.spans["span_id"].tolist() == [f"{number:016x}" for number in (1, 2, 3)]
    run.close()
    assert len(run.traces) == 2
    for name in ("out.jsonl.zst", "out.jsonl", "out.parquet"):
        assert run.save(tmp_path / name) == tmp_path / name
        assert tk.read(tmp_path / name).spans["span_id"].tolist() == run.traces.spans["span_id"].tolist()
    assert run.traces.sources["uri"].tolist() == [f"{run.endpoint} (OTLP protobuf)", f"{run.endpoint} (OTLP JSON)"]


def test_saving_nothing_says_how_to_start_the_application(tmp_path):
    told = r"expected spans to save, but none were received; start the application with the variables in env"
    with tk.listen(port=0) as run, pytest.raises(tk.TracekitError, match=told):
        run.save(tmp_path / "out.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_the_line_says_what_came():
    with tk.listen(port=0) as run:
        post(run, in_protobuf([(1, 1), (2, 2)], status=2))
        post(run, in_protobuf([(3, 3), (0, 4)], service="<b>"))
        post(run, b"garbage")
        told = "3 spans, 3 traces, 2 services, 2 errors, 1 span rejected, 1 request refused"
        told += " (last: expected an ExportTraceServiceRequest; byte 0: expected wire type 0, 1, 2 or 5, found 7)"
        assert repr(run) == f"Listener(listening, {run.endpoint}, {told})"
        assert run._repr_html_() == f"<p>{run!r}</p>"
    assert repr(run).startswith("Listener(closed, ")


def test_progress_is_reported_when_it_changes_and_at_the_end():
    seen = []
    with tk.listen(port=0, progress=seen.append) as run:
        post(run, in_protobuf([(1, 1)]))
        deadline = time.monotonic() + 20
        while len(seen) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1.2)
        post(run, in_protobuf([(1, 2)]))
    assert [counts.span_count for counts in seen] == [0, 1, 2]


def test_nothing_is_shown_outside_of_a_notebook(capsys):
    with tk.listen(port=0):
        pass
    assert capsys.readouterr() == ("", "")


@needs_proc
@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_it_leaves_no_thread_socket_or_file_after_an_error(error, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    threads, files = set(threading.enumerate()), open_files()
    with pytest.raises(error), tk.listen(port=0) as run:  # noqa: PT012 - what happens before the error
        post(run, in_protobuf([(1, 1)]))
        assert list(tmp_path.iterdir()) == [], "the temporary files have no name"
        raise error
    assert set(threading.enumerate()) <= threads, "those of earlier tests may end meanwhile"
    assert not [name for name in open_files() - files if "socket" in name]
    assert len(run.traces) == 1, "what was received is kept"
    del run
    gc.collect()
    assert open_files() - files == set()


def test_a_port_in_use_is_named():
    with tk.listen(port=0) as run:
        port = port_of(run)
        told = f"port {port} of 127.0.0.1 is in use, .*; end that program, or choose another port"
        with pytest.raises(tk.TracekitError, match=told):
            tk.listen(port)
    with tk.listen(port) as again:
        assert port_of(again) == port, "it is free at once"


def test_a_port_that_may_not_be_used_says_why(monkeypatch):
    def denied(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("socketserver.TCPServer.server_bind", denied)
    with pytest.raises(
        tk.TracekitError, match=r"cannot listen on port 80 of 127\.0\.0\.1: Permission denied; choose another"
    ):
        tk.listen(80)


@pytest.mark.parametrize("port", ["abc", None, True, 1.5])
def test_what_is_no_port_number_is_refused(port):
    with pytest.raises(TypeError, match="expected a port number, found"):
        tk.listen(port)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_out_of_range_is_refused(port):
    with pytest.raises(ValueError, match=f"expected a port from 0 to 65535, found {port}"):
        tk.listen(port)


def test_a_full_disk_is_answered_with_try_again_and_loses_nothing(monkeypatch):
    with tk.listen(port=0) as run:
        post(run, in_protobuf([(1, 1)]))
        spool = run._spools[PROTOBUF]
        real = spool._file

        class Full:
            """Writes three bytes, then fails."""

            def __getattr__(self, name):
                return getattr(real, name)

            def write(self, data):
                if len(data) > 3 and real.write(data[:3]):
                    raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(spool, "_file", Full())
        status, answer, headers = post(run, in_protobuf([(1, 2)]))
        assert (status, headers["Retry-After"]) == (503, "5")
        assert b"No space left on device; make room for temporary files" in answer
        monkeypatch.setattr(spool, "_file", real)
        post(run, in_protobuf([(1, 3)]))
    assert run.traces.spans["span_id"].tolist() == [f"{number:016x}" for number in (1, 3)]
    assert run.traces.sources["complete"].all()


@needs_proc
def test_a_listener_is_not_opened_if_there_is_no_room(monkeypatch):
    def full(**_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    before = open_files()
    with pytest.raises(OSError, match="No space left"):
        Listener(0)
    assert open_files() <= before


def test_importing_it_needs_no_exporter():
    code = "import tracekit as tk, sys; tk.listen; print([name for name in sys.modules if 'opentelemetry' in name])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "[]\n"
    assert Path(tk.__file__).is_file()
