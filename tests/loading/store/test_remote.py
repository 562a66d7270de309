"""Stores at a URL: the same numbers as on disk, wherever they are read; and what is said of a filesystem that fails."""

import shutil
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import fsspec
import pytest
from moto.server import ThreadedMotoServer
from pyarrow import fs

import tracekit as tk
from tests.loading.store.split_stores import same, split
from tracekit.errors import LoadError

BUCKET = "recordings"


@pytest.fixture(scope="module")
def during():
    _, current = tk.load_sample("checkout-regression")
    return current


@pytest.fixture(scope="module")
def local(during, tmp_path_factory):
    return split(during, tmp_path_factory.mktemp("stores") / "a.parquet", 3)


@pytest.fixture(scope="module")
def memory(local):
    """A filesystem in memory with the store."""
    found = fsspec.filesystem("memory")
    found.put(str(local.path), f"/{BUCKET}/a.parquet", recursive=True)
    yield found
    found.rm(f"/{BUCKET}", recursive=True)


@pytest.fixture(autouse=True)
def credentials(monkeypatch, tmp_path):
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "testing")
    for name in ("CONFIG_FILE", "SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(f"AWS_{name}", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="module")
def s3(local):
    """The store in a bucket of moto's server: the boto3 client, and the part of its URL after the path."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    client.create_bucket(Bucket=BUCKET)
    for file in local.path.rglob("*"):
        if file.is_file():
            client.upload_file(str(file), BUCKET, f"a.parquet/{file.relative_to(local.path).as_posix()}")
    yield client, f"?endpoint_override={host}:{port}&scheme=http&region=us-east-1"
    server.stop()


@pytest.fixture
def bucket(s3):
    """The URL of the store, with credentials: processes that were started earlier have others."""
    return f"s3://testing:testing@{BUCKET}/a.parquet{s3[1]}"


def test_a_store_in_memory_gives_the_same_numbers(during, local, memory):
    for store in (
        tk.open(f"memory://{BUCKET}/a.parquet/"),
        tk.open(f"/{BUCKET}/a.parquet", filesystem=memory),
        tk.open(f"memory://{BUCKET}/a.parquet", filesystem=fs.PyFileSystem(fs.FSSpecHandler(memory))),
    ):
        assert repr(store) == repr(local)
        same(tk.latency(store).table, tk.latency(during).table)
        assert store.load().trace_ids == during.trace_ids
        assert store.trace(during.trace_ids[7]).trace_ids == [during.trace_ids[7]]
        low, high = store.period_ns
        assert len(store.between((low + high) // 2)) == len(during.between((low + high) // 2))
    assert repr(tk.open(f"file://{local.path}")) == repr(local)


def test_a_store_on_s3_gives_the_same_numbers_in_every_place(during, bucket):
    store = tk.open(bucket)
    assert str(store.path) == f"s3://{BUCKET}/a.parquet"
    expected = tk.latency(during)
    for on in (1, 2):
        same(tk.latency(store, on=on).table, expected.table)
    assert store.trace(during.trace_ids[7]).trace_ids == [during.trace_ids[7]]
    distributed = pytest.importorskip("distributed", reason="needs dask and distributed")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        same(tk.latency(store, on=client).table, expected.table)


def test_tables_that_are_not_used_are_not_moved(bucket, monkeypatch):
    moved = []
    store = tk.open(bucket)
    read = type(store.path).read_bytes

    def counted(path):
        found = read(path)
        moved.append((path.name, len(found)))
        return found

    monkeypatch.setattr(type(store.path), "read_bytes", counted)
    tk.latency(store, on=1)
    assert {name for name, _ in moved} >= {"spans.parquet", "names.parquet"}
    assert not {name for name, _ in moved} & {"links.parquet", "link_attributes.parquet", "event_attributes.parquet"}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            "missing",
            r"STORE_BROKEN s3://recordings/b.parquet/part-00001/spans.parquet: expected a file of .* found none",
        ),
        ("short", r"STORE_BROKEN s3://recordings/b.parquet/part-00001/spans.parquet: expected .* bytes, found "),
        ("other", r"STORE_BROKEN s3://.*/part-00001/spans.parquet: expected the bytes that were written, .* damaged"),
    ],
)
def test_a_damaged_part_is_named(local, s3, damage, message):
    client, options = s3
    for file in local.path.rglob("*"):
        if file.is_file():
            data, key = bytearray(file.read_bytes()), f"b.parquet/{file.relative_to(local.path).as_posix()}"
            client.delete_object(Bucket=BUCKET, Key=key)
            if key.endswith("part-00001/spans.parquet"):
                if damage == "missing":
                    continue
                data = data[:-5] if damage == "short" else data
                data[-3 if damage == "other" else 0] ^= damage == "other"
            client.put_object(Bucket=BUCKET, Key=key, Body=bytes(data))
    store = tk.open(f"s3://testing:testing@{BUCKET}/b.parquet{options}")
    for on in (1, 2):
        with pytest.raises(LoadError, match=message) as caught:
            tk.latency(store, on=on)
        assert caught.value.code == "STORE_BROKEN"
    with pytest.raises(LoadError, match=message):
        store.between(*(one + 1 for one in store.period_ns)).load()


def test_a_store_that_is_not_there_is_named(s3):
    with pytest.raises(LoadError, match=r"expected a store .* found none at s3://recordings/nothing; write one with"):
        tk.open(f"s3://{BUCKET}/nothing{s3[1]}")


class Refusing(BaseHTTPRequestHandler):
    """A server that refuses everything."""

    def do_GET(self):
        body = b"<Error><Code>AccessDenied</Code><Message>not yours</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

    def log_message(self, *_):
        pass


@pytest.fixture
def refusing():
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"endpoint_override=127.0.0.1:{server.server_port}&scheme=http&region=us-east-1"
        server.shutdown()
        thread.join()


def test_refused_credentials_are_reported_without_them(refusing):
    with pytest.raises(
        LoadError, match=r"PATH_DENIED s3://b/a.parquet.*expected permission to read, found .*check the cred"
    ) as e:
        tk.open(f"s3://mykey:mysecret@b/a.parquet?{refusing}")
    assert "mysecret" not in str(e.value)
    assert e.value.code == "PATH_DENIED"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError("not you"), "PATH_DENIED .*found not you; check the credentials"),
        (
            RuntimeError("Unable to locate credentials"),
            "PATH_DENIED .*found Unable to locate credentials; check the cred",
        ),
        (TimeoutError("no answer"), "PATH_REMOTE .*found no answer; check the URL and the connection"),
        (ValueError(), "PATH_REMOTE .*found ValueError; check"),
    ],
)
def test_a_filesystem_that_fails_is_quoted(memory, monkeypatch, error, message):
    store = tk.open(f"memory://{BUCKET}/a.parquet")

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(memory, "_open", fail)
    for use in (lambda: tk.latency(store), lambda: tk.open(f"memory://{BUCKET}/a.parquet"), store.load):
        with pytest.raises(LoadError, match=message):
            use()
    monkeypatch.setattr(memory, "info", fail)
    with pytest.raises(LoadError, match=message):
        tk.open(f"memory://{BUCKET}/a.parquet")


def test_what_no_filesystem_opens_is_named(monkeypatch):
    with pytest.raises(LoadError, match=r"PATH_REMOTE xyz://a/b: expected .* found Protocol not known: xyz"):
        tk.open("xyz://a/b")
    with pytest.raises(LoadError, match=r"PATH_REMOTE s3://b/a: .*Unexpected query parameter"):
        tk.open("s3://b/a?wrong=1")
    with pytest.raises(TypeError, match="expected a filesystem of pyarrow or fsspec, found int"):
        tk.open("a", filesystem=3)
    with pytest.raises(ImportError, match="expected the package that opens abfs://c/a, found none: "):
        tk.open("abfs://c/a")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ImportError, match=r"pip install 'tracekit-notebook\[fsspec\]', or copy the store to a disk"):
        tk.open("memory://a/b")


def test_other_readers_name_what_opens_a_url():
    with pytest.raises(LoadError, match=r"found a URL \(s3://\); download it, .*; a store: tk.open"):
        tk.read("s3://b/a.parquet")


@pytest.mark.parametrize("url", ["s3://AKIAX:sec/ret@bucket/x?wrong=1", "abfs://user:sec/ret@c/a", "xyz://u:sec/ret@c"])
def test_credentials_of_a_url_are_not_quoted(url):
    with pytest.raises((LoadError, ImportError), match=r"://(bucket|c)") as caught:
        tk.open(url)
    said = "".join(traceback.format_exception(caught.value, limit=0))
    assert not [secret for secret in ("AKIAX", "sec/", "ret@", "sec") if secret in said.replace("secre", "")]


def test_a_package_that_is_lacking_is_named_without_credentials(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ImportError, match="expected fsspec to open https://localhost, found no such package") as caught:
        tk.open("https://user:pass/w@localhost")
    assert "pass" not in str(caught.value).replace("pass ", "")


def test_a_reader_of_files_quotes_no_credentials():
    with pytest.raises(LoadError, match="PATH_SPECIAL http://localhost:1/x: expected a file") as caught:
        tk.read("http://u:hunter2@localhost:1/x")
    assert "hunter2" not in "".join(traceback.format_exception(caught.value, limit=0))
    assert caught.value.source == "http://localhost:1/x"


def test_an_at_sign_in_a_path_is_part_of_it(local, memory, tmp_path):
    shutil.copytree(local.path, tmp_path / "a@b" / "a.parquet")
    assert len(tk.open(f"file://{tmp_path}/a@b/a.parquet")) == len(local)
    memory.put(str(local.path), f"/{BUCKET}/a@b/a.parquet", recursive=True)
    store = tk.open(f"memory://{BUCKET}/a@b/a.parquet")
    assert str(store.path) == f"memory://{BUCKET}/a@b/a.parquet"
    assert len(store) == len(local)
