"""The files of the collector's S3 exporter: partitions by upload time, compression, protobuf, and S3 as moto has it."""

import gzip
import json
import random
import sys
import threading
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "pull"))

from fake_backends import FakeBackend, Trace

import tracekit as tk
from tracekit.pull.calls import NoAnswerError

PERIOD = {"start": "2025-10-09T08:00Z", "end": "2025-10-09T10:00Z"}
FAULTS = [429, 500, 503, "reset", "cut"]


def key(number, hour=8, suffix="json"):
    return f"otel/year=2025/month=10/day=09/hour={hour:02}/minute={number % 60:02}/traces_{number:09} a+b.{suffix}"


def exported(*traces):
    return json.dumps({"resourceSpans": [group for trace in traces for group in trace.otlp()]}, indent=1).encode()


@pytest.fixture
def serve(monkeypatch):
    """Start a server with these objects; it ends with the test."""
    servers = []

    def start(objects, **more):
        server = FakeBackend("s3", objects=objects, **more)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def pulled(folder, **how):
    return tk.pull("s3", "s3://archive/otel", folder=folder, **{"backoff_s": 0.0, "attempts": 3, **PERIOD, **how})


def test_objects_of_the_period_and_an_hour_more_arrive(serve, tmp_path):
    objects = {key(n, hour=5 + n): exported(Trace(n)) for n in range(8)}  # hours 5 to 12
    server = serve(objects)
    pull = pulled(tmp_path / "a")
    assert sorted(pull.accounts.index) == [key(n, hour=5 + n) for n in range(2, 6)]  # hours 7 to 10
    assert repr(pull).endswith("4 objects: 4 returned)")
    assert sorted(pull.traces.trace_ids) == [Trace(n).id for n in range(2, 6)]
    assert set(pull.ledger["truncation"]) == {"excluded"}
    assert set(pull.ledger["selection"]) == {"all"}
    before = len(server.requests)
    assert pulled(tmp_path / "a").counts == {"returned": 4}
    assert len(server.requests) == before


def test_pages_compression_and_several_documents(serve, tmp_path):
    lines = b"\n".join(json.dumps({"resourceSpans": Trace(n).otlp()}).encode() for n in (10, 11))
    objects = {key(n): exported(Trace(n)) for n in range(7)}
    objects |= {key(20, suffix="json.gz"): gzip.compress(lines), key(21): b""}
    serve(objects, page=2)
    pull = pulled(tmp_path / "a")
    assert pull.counts == {"returned": 9}
    assert sorted(pull.traces.trace_ids) == sorted(Trace(n).id for n in (*range(7), 10, 11))


def test_protobuf_is_kept_as_it_is(serve, tmp_path):
    serve({key(1): exported(Trace(1)), key(2, suffix="binpb"): b"\n\x05hello"})
    pulled(tmp_path / "a")
    (kept,) = (tmp_path / "a" / "objects").iterdir()
    assert kept.read_bytes() == b"\n\x05hello"


def test_a_damaged_object_is_accounted_for(serve, tmp_path):
    serve({key(1): exported(Trace(1)), key(2): gzip.compress(exported(Trace(2)))[:-20]})
    pull = pulled(tmp_path / "a")
    assert pull.counts == {"returned": 1, "failed": 1}
    assert pull.accounts.loc[key(2), "reason"].startswith("refused: expected a whole gzip object, found")


def test_another_layout_of_partitions(serve, tmp_path):
    serve({"otel/2025/10/09/08/traces_1.json": exported(Trace(1))})
    assert pulled(tmp_path / "a", query="%Y/%m/%d/%H").counts == {"returned": 1}


def test_an_empty_bucket_is_reported(serve, tmp_path):
    serve({})
    assert "s3://archive returned no objects from 2025-10-09T08:00" in pulled(tmp_path / "a").notes[0]


@pytest.mark.parametrize("url", ["s3:/archive", "https://archive", "s3://A"])
def test_urls_that_are_refused(tmp_path, url):
    with pytest.raises(ValueError, match="expected s3://BUCKET/PREFIX, found"):
        tk.pull("s3", url, folder=tmp_path / "a", **PERIOD)


def test_options_of_http_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no credentials, ca_file and limit for S3.*set AWS_PROFILE"):
        pulled(tmp_path / "a", limit=5)
    with pytest.raises(ValueError, match=r"expected conditions of s3 \(query\), found service; omit them"):
        pulled(tmp_path / "a", service="web")


def test_s3_of_moto(tmp_path, monkeypatch):
    moto = pytest.importorskip("moto.server")
    boto3 = pytest.importorskip("boto3")
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:{port}")
        client = boto3.client("s3")
        client.create_bucket(Bucket="archive", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        for number in range(5):
            client.put_object(Bucket="archive", Key=key(number), Body=exported(Trace(number)))
        pull = pulled(tmp_path / "a")
        assert pull.counts == {"returned": 5}
        assert len(pull.traces) == 5
        with pytest.raises(tk.PullError, match="NoSuchBucket"):
            tk.pull("s3", "s3://missing-bucket/otel", folder=tmp_path / "b", backoff_s=0.0, **PERIOD)
    finally:
        server.stop()


def check(serve, folder, seed):
    chance = random.Random(seed)
    share = chance.choice([0.05, 0.2, 0.5, 0.8])
    faults = [chance.choice(FAULTS) if chance.random() < share else None for _ in range(150)]
    objects = {key(n, hour=chance.choice([8, 9])): exported(Trace(2 * n), Trace(2 * n + 1)) for n in range(20)}
    serve(objects, faults=faults, page=chance.choice([3, 7, 1000]))
    for _ in range(100):
        try:
            pull = pulled(folder, rounds=2, concurrency=chance.randint(1, 4))
        except (NoAnswerError, tk.PullError) as error:
            assert any(word in str(error) for word in ("attempts", "resume")), error  # noqa: PT017 - one of many
            continue
        assert sum(pull.counts.values()) == 20
        if pull.counts == {"returned": 20}:
            break
    traces = tk.read(folder, workers=1)
    assert sorted(traces.trace_ids) == sorted(Trace(n).id for n in range(40))
    assert len(traces.spans) == 80
    assert int(traces.sources["quarantined_count"].sum()) == 0


@pytest.mark.parametrize("seed", range(4))
def test_every_object_is_accounted_for(serve, tmp_path, seed):
    check(serve, tmp_path / "pulled", seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4, 204))
def test_every_object_is_accounted_for_in_many_schedules(serve, tmp_path, seed):
    check(serve, tmp_path / "pulled", seed)
