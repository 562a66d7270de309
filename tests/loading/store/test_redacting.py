"""Stores and conversions in parts lose what a set in memory loses: also what only a key in another part tells."""

import json
import re

import pytest
from planted import planted, recording

import tracekit as tk
from tracekit.loading.checksum import checksum
from tracekit.loading.store import redacting
from tracekit.redaction.archive import texts_of_file

pytestmark = pytest.mark.filterwarnings("ignore:removed from:UserWarning")

PSEUDONYMS = tk.Policy(default="pseudonym", pseudonym_key="k" * 16)
KEPT = tk.Policy(kinds={"email": "keep", "name": "drop"}, keys={"app.order.id": "drop"})


@pytest.fixture(scope="module")
def values():
    return planted(11, 200)


@pytest.fixture(scope="module")
def source(values, tmp_path_factory):
    path = tmp_path_factory.mktemp("planted") / "now.jsonl"
    path.write_bytes(recording(values))
    return path


@pytest.fixture(scope="module")
def store(source, tmp_path_factory):
    path = tmp_path_factory.mktemp("parts") / "now.parquet"
    return tk.open(tk.convert(source, path, spans_at_once=30, progress=False))


def left_in(path, values):
    """The values that are in any text of a store, file or folder."""
    files = [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else [path]
    whole = b"\n".join(text for one in files for text in texts_of_file(one.name, one.read_bytes()))
    text = whole.decode("utf-8", "replace")
    return {value for value in values if value in text or json.dumps(value)[1:-1] in text}


@pytest.mark.parametrize("policy", ["default", PSEUDONYMS, KEPT])
def test_a_store_is_redacted_as_a_set_in_memory(store, source, policy, tmp_path):
    assert store.part_count > 5
    made = store.redact(tmp_path / "a.parquet", policy)
    expected = tk.read(source, progress=False).redact(policy)
    assert made.part_count == store.part_count
    assert checksum(made.load()) == checksum(expected)
    keys = ["kind", "where", "key", "action"]
    said = [set(map(tuple, one.redacted[keys].to_numpy())) for one in (made, expected)]
    assert said[0] == said[1]
    assert made.redacted["use_count"].sum() == expected.redacted["use_count"].sum()
    assert len(made.load().redacted) == len(made.redacted)


def test_no_planted_value_is_in_a_redacted_store(store, values, tmp_path):
    assert left_in(store.path, [value for _, value, _ in values])
    made = store.redact(tmp_path / "a.parquet")
    assert left_in(made.path, [value for _, value, _ in values]) == set()


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl"])
def test_what_a_key_tells_in_one_chunk_is_removed_from_all(values, source, store, name, tmp_path):
    """Also what comes before its key, and from a store that is joined."""
    for given in (source, store.path):
        made = tk.convert(given, tmp_path / name, redact="default", spans_at_once=30, progress=False)
        assert left_in(made, [value for _, value, _ in values]) == set()


@pytest.mark.parametrize("first", [True, False])
def test_a_name_far_from_its_key(first, tmp_path):
    traces = tk.load_sample("checkout-regression")[1].head(60)
    frame = traces.spans
    ids = frame["trace_id"].unique()
    own, other = (ids[0], ids[-1]) if first else (ids[-1], ids[0])
    frame["attributes.user.full_name"] = ["Maria Kowalczyk" if one == own else None for one in frame["trace_id"]]
    frame["attributes.app.note"] = ["for Maria Kowalczyk" if one == other else None for one in frame["trace_id"]]
    whole = tk.TraceSet.from_spans(frame)
    lines = whole.to_otlp(tmp_path / "a.jsonl", redact=None)
    assert b"Maria Kowalczyk" in lines.read_bytes()
    made = tk.convert(lines, tmp_path / "b.jsonl", spans_at_once=100, progress=False)
    assert b"Kowalczyk" not in made.read_bytes()
    store = tk.open(tk.convert(lines, tmp_path / "c.parquet", spans_at_once=100, progress=False))
    assert store.part_count > 3
    assert left_in(store.redact(tmp_path / "d.parquet").path, ["Kowalczyk"]) == set()


def test_conditions_and_weights_of_a_store_are_kept(store, tmp_path):
    chosen = store.where("name == 'GET'").with_weights(3)
    made = chosen.redact(tmp_path / "a.parquet")
    assert len(made) == len(chosen)
    assert set(made.load().weights.value) == {3.0}


def test_a_store_with_a_removed_value_is_not_written(store, tmp_path, monkeypatch):
    before = redacting.redacted_part

    def forgetful(traces, policy, known):
        """Says what it removed, and returns the traces as they were."""
        return traces, before(traces, policy, known)[1]

    monkeypatch.setattr(redacting, "redacted_part", forgetful)
    with pytest.raises(tk.RenderError, match=r"expected no removed value in a\.parquet, found .* in .*\.parquet; the"):
        store.redact(tmp_path / "a.parquet")
    assert not list(tmp_path.iterdir())


def test_a_store_is_not_redacted_onto_itself_nor_by_no_policy(store, tmp_path):
    with pytest.raises(ValueError, match="expected the path of a new store, found that of this one"):
        store.redact(store.path)
    with pytest.raises(ValueError, match=re.escape("expected a redaction policy, found None; use the store as it is")):
        store.redact(tmp_path / "a.parquet", None)
