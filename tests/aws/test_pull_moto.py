"""A pull from moto's server: documents come back to the letter, and what moto does not know is said."""

import json
import subprocess
import sys

import boto3
import pandas as pd
import pytest
from fake_xray import document, trace_id

import tracekit as tk
from tracekit.aws.pull.xray import pull_xray
from tracekit.pull.folder import PullFolder, read_lines

NOW = int(pd.Timestamp.now("UTC").timestamp())


@pytest.fixture(scope="module")
def moto():
    """The address of a moto server in a process of its own."""
    command = [sys.executable, "-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        lines = iter(server.stderr.readline, "")
        yield next(line.split("Running on ")[1].strip() for line in lines if "Running on " in line)
        server.terminate()
        server.stderr.close()


@pytest.fixture
def documents(moto, monkeypatch):
    """Seven traces of one document each in a moto server."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    texts = [document(trace_id(number, NOW), number * 2, NOW) for number in range(1, 8)]
    client = boto3.client("xray")
    client.put_trace_segments(TraceSegmentDocuments=texts)
    client.close()
    return texts


def test_documents_are_restored_exactly(documents, tmp_path):
    pull = pull_xray(tmp_path / "pulled", start="1h", backoff_s=0.0)
    assert pull.counts == {"returned": 7}
    with PullFolder(pull.folder) as folder:
        traces = [
            trace
            for file in folder.files("traces")
            for line in read_lines(file)
            for trace in json.loads(line).get("Traces", [])
        ]
    assert sorted(part["Document"] for trace in traces for part in trace["Segments"]) == sorted(documents)
    assert tk.read(pull.folder).summary["span_count"].tolist() == [2] * 7
    assert len(tk.trace_summaries(pull)) == 7


def test_an_unknown_id_stays_unprocessed_and_unknown_sizes_are_noted(documents, tmp_path):
    ids = [json.loads(documents[0])["trace_id"], trace_id(99, NOW)]
    pull = pull_xray(tmp_path / "pulled", ids, backoff_s=0.0)
    assert pull.accounts["outcome"].tolist() == ["returned", "unprocessed"]
    (note,) = pull.notes
    assert note.startswith("not checked whether Transaction Search stores more traces")
