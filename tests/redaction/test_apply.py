"""Redacted sets: nothing that was planted is left, and nothing else has changed."""

import json
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import lookalikes, pairs, planted, recording

import tracekit as tk
from tracekit.redaction.keys import LABEL

KEY = "a secret of sixteen characters"


def spans_with(attributes, *, name="GET", count=1):
    """Traces of one span each with these attributes."""
    spans = [
        {
            "traceId": f"{at + 1:032x}", "spanId": f"{at + 1:016x}", "name": name,
            "startTimeUnixNano": "5000000000", "endTimeUnixNano": "6000000000",
            "attributes": pairs(attributes | {"n": at}),
        }
        for at in range(count)
    ]  # fmt: skip
    line = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    return tk.read(json.dumps(line).encode(), progress=False)


def values_of(traces):
    """The attributes of the first span as text."""
    keys = set(traces.columns.kv.keys)
    found = {key: traces.attribute(key)[0] for key in keys if len(traces.lookup.by_key.of(key)[0])}
    return {key: value for key, value in found.items() if isinstance(value, str)}


def all_text(traces):
    """Every text of a set, also those that nothing refers to."""
    columns = traces.columns
    values = [text or "" for text in columns.kv.text.to_pylist()]
    frames = [traces.sources.to_csv(), traces.issues.to_csv(), str(columns.notes), str(traces.steps)]
    numbers = [str(number) for number in columns.kv.integer.tolist()]
    return "\n".join([*columns.names, *columns.texts, *columns.kv.keys, *values, *frames, *numbers])


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_nothing_that_was_planted_is_left(seed):
    values = planted(seed)
    traces = tk.read(recording(values, seed=seed), progress=False)
    left = all_text(traces.redact())
    assert [value for _, value, _ in values if value in left or json.dumps(value)[1:-1] in left] == []


def test_everything_else_stays():
    traces = tk.read(recording(planted(5)), progress=False)
    redacted = traces.redact()
    changed = {"name", "status_message", "trace_state"}
    for column in fields(traces.columns.spans):
        if column.name not in changed:
            old, new = (getattr(one.columns.spans, column.name) for one in (traces, redacted))
            assert np.array_equal(old, new), column.name
    assert redacted.trace_ids == traces.trace_ids
    for name in ("service_name", "host_name", "parent_span_id", "depth", "duration_ns", "http_route"):
        assert redacted.spans[name].tolist() == traces.spans[name].tolist(), name
    assert redacted.attribute("app.order.id").tolist() == traces.attribute("app.order.id").tolist()
    assert redacted.columns.attributes.counts.tolist() == traces.columns.attributes.counts.tolist()
    before, now = (tk.critical_path(one).by("service_name")["path_time_ns"].sum() for one in (traces, redacted))
    assert before == now


def test_the_input_is_not_changed():
    values = planted(5)
    traces = tk.read(recording(values), progress=False)
    before = all_text(traces)
    traces.redact()
    assert all_text(traces) == before


def test_it_can_be_done_twice():
    traces = tk.read(recording(planted(8)), progress=False)
    for policy in ("default", {"default": "pseudonym", "pseudonym_key": KEY}):
        once = traces.redact(policy)
        twice = once.redact(policy)
        assert [*twice.columns.names, *twice.columns.texts] == [*once.columns.names, *once.columns.texts]
        assert twice.columns.kv.text.equals(once.columns.kv.text)
        assert set(tk.privacy(once).table["kind"]) <= {"private address"}
        assert twice.redacted.equals(once.redacted)


def test_lookalikes_stay():
    texts = [text for _, text in lookalikes(2, 2_000)]
    traces = tk.read(
        json.dumps(
            {"resourceSpans": [{"scopeSpans": [{"spans": [
                {"traceId": f"{at + 1:032x}", "spanId": f"{at + 1:016x}", "name": text, "startTimeUnixNano": "5",
                 "endTimeUnixNano": "6", "attributes": pairs({"app.value": text})} for at, text in enumerate(texts)
            ]}]}]}
        ).encode(),
        progress=False,
    )  # fmt: skip
    redacted = traces.redact()
    assert redacted.columns.names == traces.columns.names
    assert redacted.columns.kv.text.equals(traces.columns.kv.text)
    assert not len(redacted.redacted)


def test_equal_texts_become_one():
    """Rows of tables stay distinct: codes are identities for groups, and categories must be unique."""
    traces = tk.read(recording(planted(6)), progress=False).redact()
    kv = traces.columns.kv
    rows = list(zip(kv.key.tolist(), kv.type.tolist(), kv.text.to_pylist(), kv.integer.tolist(), kv.double.tolist(),
                    kv.origin.tolist(), kv.namespace.tolist(), kv.is_indexed.tolist(), strict=True))  # fmt: skip
    assert len(set(rows)) == len(rows)
    assert len(set(traces.columns.names)) == len(traces.columns.names)
    assert len(set(traces.columns.texts)) == len(traces.columns.texts)
    assert traces.spans["name"].cat.categories.is_unique


def test_a_part_of_a_set_has_nothing_of_the_rest():
    values = planted(9)
    part = tk.read(recording(values), progress=False).head(1)
    left = all_text(part.redact())
    assert [value for _, value, _ in values if value in left] == []


def test_a_value_is_removed_wherever_it_occurs():
    traces = spans_with({"user.name": "Jo Kowalczyk", "app.note": "refund of Jo Kowalczyk", "service": "Jo Kowal"})
    redacted = traces.redact()
    assert redacted.attribute("app.note")[0] == "refund of [name]"
    assert redacted.attribute("service")[0] == "Jo Kowal"


def test_names_of_services_are_not_replaced_by_names_of_people():
    line = json.loads(recording([("name", "checkout", "checkout")]))
    resource = line["resourceSpans"][0]["resource"]["attributes"]
    resource[0]["value"]["stringValue"] = "checkout"
    resource.append({"key": "enduser.id", "value": {"stringValue": "checkout"}})
    redacted = tk.read(json.dumps(line).encode(), progress=False).redact()
    assert set(redacted.spans["service_name"]) == {"checkout"}
    assert redacted.attribute("resource.enduser.id")[0] == "[name]"


# -------------------------------------------------------------------- policies


def test_words_in_keys_of_names_stay_elsewhere():
    attributes = {"kafka.username": "worker-orders", "function.full_name": "shop.orders.place"}
    redacted = spans_with(attributes, name="process worker-orders shop.orders.place").redact()
    assert redacted.columns.names == ["process worker-orders shop.orders.place"]
    assert values_of(redacted) == {"kafka.username": "[name]", "function.full_name": "shop.orders.place", "n": "0"}
    named = spans_with({"user.name": "Jo-Kowalczyk"}, name="pay Jo-Kowalczyk").redact()
    assert named.columns.names == ["pay [name]"]


def test_numbers_of_tokens_are_no_secrets():
    attributes = {"gen_ai.server.time_to_first_token": 512, "user.password": 493021}
    redacted = spans_with(attributes).redact()
    assert redacted.attribute("gen_ai.server.time_to_first_token")[0] == "512"
    assert redacted.attribute("user.password")[0] == "[secret]"


def value_after(attributes, key, policy):
    return spans_with(attributes).redact(policy).attribute(key)[0]


@pytest.mark.parametrize(
    ("key", "value", "kind", "action", "expected"),
    [
        ("user.email", "jo@example.org", "email", "mask", "[email]"),
        ("user.email", "jo@example.org", "email", "generalise", "[email at example.org]"),
        ("user.email", "jo@example.org", "email", "keep", "jo@example.org"),
        ("client.address", "151.101.1.69", "IP address", "generalise", "151.101.1.x"),
        ("client.address", "2a02:8108:1::7", "IP address", "generalise", "2a02:8108:0001:x"),
        ("client.address", "151.101.1.69", "IP address", "mask", "[IP address]"),
        ("db.query.text", "SELECT a FROM t WHERE b = 'x'", "SQL literal", "generalise", "SELECT a FROM t WHERE b = ?"),
        ("url.full", "https://x.example/?a=b7", "URL query value", "generalise", "https://x.example/?a=REDACTED"),
        ("app.host", "10.0.0.7", "private address", "generalise", "10.0.0.x"),
    ],
)
def test_actions(key, value, kind, action, expected):
    assert value_after({key: value}, key, {"kinds": {kind: action}}) == expected


def test_pseudonyms_keep_joins():
    policy = tk.Policy("pseudonym", pseudonym_key=KEY)
    first = spans_with({"user.email": "jo@example.org", "app.note": "for jo@example.org"}).redact(policy)
    other = spans_with({"contact": "jo@example.org"}).redact(policy)
    name = first.attribute("user.email")[0]
    assert LABEL.fullmatch(name)
    assert first.attribute("app.note")[0] == f"for {name}"
    assert other.attribute("contact")[0] == name
    assert value_after({"user.email": "al@example.org"}, "user.email", policy) != name
    changed = tk.Policy("pseudonym", pseudonym_key=KEY + "!")
    assert value_after({"user.email": "jo@example.org"}, "user.email", changed) != name
    assert KEY not in repr(policy)


def test_dropped_attributes_are_gone():
    redacted = spans_with({"user.email": "jo@example.org", "a": "b"}).redact({"kinds": {"email": "drop"}})
    assert set(values_of(redacted)) == {"a", "n"}
    assert redacted.redacted["action"].tolist() == ["drop"]
    named = spans_with({}, name="GET jo@example.org").redact({"default": "drop"})
    assert named.spans["name"].tolist() == ["GET [email]"]


def test_keys_that_the_policy_names():
    traces = spans_with(
        {"app.customer.id": 17, "app.plan": "gold", "http.url": "/a?b=c7", "user.email": "jo@example.org"}
    )
    keys = {"app.customer.*": "mask", "app.plan": "drop", "http.url": "keep", "user.email": "keep"}
    redacted = traces.redact({"keys": keys})
    found = values_of(redacted)
    assert found["app.customer.id"] == "[chosen key]"
    assert found["http.url"] == "/a?b=c7"
    assert found["user.email"] == "jo@example.org"
    assert "app.plan" not in found
    assert set(redacted.redacted["key"]) == {"app.customer.id", "app.plan"}


def test_texts_in_values_of_all_types():
    traces = spans_with(
        {"card": 4111111111111111, "list": ["a", "jo@example.org"], "map": {"password": "x7x", "jo@example.org": "b"}}
    )
    assert values_of(traces.redact()) == {
        "card": "[payment card]",
        "list": '["a","[email]"]',
        "map": '{"[email]":"b","password":"[secret]"}',
        "n": "0",
    }


def test_a_policy_in_a_file(tmp_path):
    file = tmp_path / "policy.toml"
    file.write_text(
        'default = "drop"\npseudonym_key = "' + KEY + '"\n[kinds]\nemail = "pseudonym"\n[keys]\n"app.*" = "mask"\n'
    )
    policy = tk.Policy("drop", {"email": "pseudonym"}, {"app.*": "mask"}, KEY)
    traces = spans_with({"user.email": "jo@example.org", "app.a": "b", "user.name": "Jo"})
    for given_as in (file, str(file)):
        assert traces.redact(given_as).attributes.equals(traces.redact(policy).attributes)
    file.write_text("default = ")
    with pytest.raises(ValueError, match=r"policy\.toml: not TOML: .*; expected default = \"mask\""):
        traces.redact(file)
    file.write_text('actions = "x"')
    with pytest.raises(
        ValueError, match=r"policy\.toml: expected default, keys, kinds, pseudonym_key, found 'actions'"
    ):
        traces.redact(file)
    file.write_text('kinds = "x"')
    with pytest.raises(ValueError, match=r"policy\.toml: expected a mapping for kinds, found 'x'"):
        traces.redact(file)
    with pytest.raises(ValueError, match="expected a file with a redaction policy, found none at"):
        traces.redact(tmp_path / "gone.toml")


@pytest.mark.parametrize(
    ("given_as", "message"),
    [
        ({"kinds": {"e-mail": "mask"}}, r"expected a kind of .*, found 'e-mail'; did you mean 'email'\?"),
        ({"default": "hide"}, "expected an action of mask, drop, pseudonym, generalise, keep, found 'hide'"),
        (
            {"default": "pseudonym"},
            "expected a pseudonym_key of at least 16 characters for pseudonyms, found 0; set it",
        ),
        (
            "strict",
            "expected 'default', a tk.Policy, a mapping, a file NAME.toml, or None for no redaction, found 'strict'",
        ),
        (None, r"expected a redaction policy, found None; omit redact\(...\) to keep everything"),
    ],
)
def test_what_is_wrong_with_a_policy(given_as, message, monkeypatch):
    monkeypatch.delenv("TRACEKIT_REDACTION_KEY", raising=False)
    with pytest.raises(ValueError, match=message):
        spans_with({}).redact(given_as)


def test_the_key_of_pseudonyms_from_the_environment(monkeypatch):
    monkeypatch.setenv("TRACEKIT_REDACTION_KEY", KEY)
    traces = spans_with({"user.email": "jo@example.org"})
    named = traces.redact({"default": "pseudonym", "pseudonym_key": KEY})
    assert traces.redact({"default": "pseudonym"}).attributes.equals(named.attributes)


def test_the_record_travels_with_a_store(tmp_path):
    redacted = tk.read(recording(planted(4)), progress=False).redact()
    assert {"email", "payment card", "name"} <= set(redacted.redacted["kind"])
    assert tk.read(redacted.save(tmp_path / "a.parquet")).redacted.equals(redacted.redacted)
    assert redacted.head(2).redacted.equals(redacted.redacted)


def test_the_records_of_two_sets_are_joined(tmp_path):
    first = spans_with({"user.email": "jo@example.org"}).redact()
    second = spans_with({"card": "4111111111111111"}, name="POST").redact()
    kinds = {"email", "payment card"}
    assert set((first + second).redacted["kind"]) == kinds
    stores = [first.save(tmp_path / "a.parquet"), second.save(tmp_path / "b.parquet")]
    assert set(tk.read(stores).redacted["kind"]) == kinds
    assert (first + first).redacted.equals(first.redacted)


def test_an_empty_set():
    traces = tk.load_sample("small-shop")[1]
    assert len(traces.where("duration_ns < 0").redact()) == 0
    assert not len(traces.redact().redacted)
    assert traces.redact().steps[-1] == ".redact()"
