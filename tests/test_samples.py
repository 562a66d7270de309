import hashlib
import json
import shutil
from pathlib import Path

import pytest

from tracekit import samples
from tracekit.errors import LoadError

DATASETS = Path(__file__).parents[1] / "datasets"


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A home of datasets that may be damaged."""
    for name in ("index.json", *(one["name"] for one in json.loads((DATASETS / "index.json").read_text())["datasets"])):
        source = DATASETS / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    monkeypatch.setattr(samples, "DATASETS", (tmp_path / "not there", tmp_path))
    return tmp_path


def test_the_list_equals_the_index():
    index = json.loads((DATASETS / "index.json").read_text())["datasets"]
    frame = samples.list_samples()
    assert list(frame.columns) == ["name", "title", "span_count", "trace_count", "byte_count", "licence", "truth"]
    assert list(frame["name"]) == [entry["name"] for entry in index]
    row = frame.set_index("name").loc["checkout-regression"]
    assert row["byte_count"] == sum(path.stat().st_size for path in (DATASETS / "checkout-regression").glob("*.zst"))
    assert row["trace_count"] == 2000
    assert row["licence"] == "MIT"
    assert row["truth"].startswith("ledger 1.5.0")


def test_paths_come_in_the_order_of_time_with_the_indexed_hashes():
    paths = samples.sample_paths("checkout-regression")
    assert [path.name for path in paths] == ["baseline.jsonl.zst", "during.jsonl.zst"]
    index = json.loads((DATASETS / "index.json").read_text())["datasets"]
    entry = next(one for one in index if one["name"] == "checkout-regression")
    assert [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths] == [f["sha256"] for f in entry["files"]]


def test_a_recording_in_the_wheel_is_found_before_one_in_the_source_tree(copied):
    assert samples.sample_paths("checkout-xray") == (copied / "checkout-xray" / "traces.jsonl.zst",)


@pytest.mark.parametrize("name", ["checkout-regresion", "checkout_regression", "checkout"])
def test_an_unknown_name_offers_the_nearest(name):
    with pytest.raises(ValueError, match=f"no dataset {name!r}. Available: .*tail-sampled. Did you mean 'checkout-"):
        samples.sample_paths(name)


@pytest.mark.parametrize("name", [7, None])
def test_only_text_names_a_sample(name):
    with pytest.raises(TypeError, match=r"expected the name of a sample, found \w+; tk\.list_samples\(\) lists them"):
        samples.load_sample(name)


@pytest.mark.parametrize("name", ["", "zzz"])
def test_a_name_without_a_close_match_shows_the_list(name):
    with pytest.raises(
        ValueError,
        match=rf"no dataset {name!r}\. Available: .*checkout-regression, checkout-xray, .*small-shop, tail-sampled\.$",
    ):
        samples.load_sample(name)


@pytest.mark.parametrize(
    "damage",
    [lambda content: content[:-1], lambda content: content + b"\0", lambda _: b"", lambda content: b"x" + content[1:]],
)
def test_a_damaged_recording_is_refused(copied, damage):
    path = copied / "checkout-regression" / "during.jsonl.zst"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(
        LoadError, match=r"expected SHA-256 [0-9a-f]{64}, found [0-9a-f]{64} in .*during.*again"
    ) as caught:
        samples.load_sample("checkout-regression")
    assert caught.value.source == str(path)
    assert caught.value.code == "SAMPLE_DAMAGED"
    assert samples.sample_paths("checkout-xray")  # the others are as good as before


def test_a_missing_recording_is_refused(copied):
    (copied / "checkout-regression" / "baseline.jsonl.zst").unlink()
    with pytest.raises(LoadError, match=r"found no file .*baseline\.jsonl\.zst; reinstall tracekit-notebook"):
        samples.sample_paths("checkout-regression")


def test_a_missing_index_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "DATASETS", (tmp_path / "a", tmp_path / "b"))
    with pytest.raises(LoadError, match=r"found no index\.json in .*a or .*b; reinstall tracekit-notebook") as caught:
        samples.list_samples()
    assert caught.value.code == "SAMPLE_MISSING"


def test_parts_come_in_the_requested_order_and_those_without_traces_as_paths():
    log, tail = samples.load_sample("tail-sampled", "access-log", "tail")
    assert log == samples.sample_paths("tail-sampled", "access-log")[0]
    assert log.name == "access-log.log.zst"
    (file,) = (file for file in samples._files("tail-sampled", ("tail",)))
    assert (len(tail), len(tail.spans)) == (file["trace_count"], file["span_count"])
    assert samples.load_sample("tail-sampled", "collector").suffix == ".json"
    assert len(samples.load_sample("checkout-regression", "during")) == 1000


def test_an_unknown_part_offers_the_nearest():
    with pytest.raises(
        ValueError, match=r"no part 'tails' in tail-sampled\. Available: population, head, .*\. Did you mean 'tail'"
    ):
        samples.load_sample("tail-sampled", "tails")


def test_loading_gives_one_set_a_file_with_the_counts_of_the_index():
    before, during = samples.load_sample("checkout-regression")
    xray, small, sampled = (samples.load_sample(name) for name in ("checkout-xray", "small-shop", "tail-sampled"))
    index = json.loads((DATASETS / "index.json").read_text())["datasets"]
    shown = ("checkout-regression", "checkout-xray", "small-shop", "tail-sampled")
    files = [file for entry in index if entry["name"] in shown for file in entry["files"] if "trace_count" in file]
    for traces, file in zip((before, during, xray, *small, *sampled), files, strict=True):
        assert (len(traces.summary), len(traces.spans)) == (file["trace_count"], file["span_count"])
        assert not (traces.issues["severity"] == "error").any()
        assert set(traces.spans["parent_state"].astype(str)) == {"root", "resolved"}
    versions = [set(traces.spans.query("service_name == 'ledger'")["service_version"]) for traces in (before, during)]
    assert versions == [{"1.4.0"}, {"1.5.0"}]
