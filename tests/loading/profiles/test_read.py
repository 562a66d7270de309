"""Readers of profiles: what they read is what was written; damaged content is an issue or a refusal, never a crash."""

import gzip
import json

import pytest
from backports import zstd
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.profiles.v1development import profiles_pb2
from pprof_messages import pprof

import tracekit as tk
from tracekit.errors import LoadError
from tracekit.profile_samples import ProfileSamples

SPAN, ROOT, TRACE = 0xFEDCBA9876543210, 0x1122334455667788, 0xA1C0DE00000000000000000000000001
COLLAPSED = f"trace_id={TRACE:032x};span_id={SPAN:016x};main;work 3\nmain;idle 4\n".encode()


def otlp(*, is_old=False):
    samples = [
        {"linkIndex": 1, "attributeIndices": []} | ({"value": ["3"]} if is_old else {"values": ["3"]}),
        {"timestampsUnixNano": ["1", "2", "3", "4"], "attributeIndices": [1]},
    ]
    stacks = ([1, 0], [0])
    tables = {
        "stringTable": ["", "wall", "nanoseconds", "main", "work", "local root span id"],
        "functionTable": [{}, {"nameStrindex": 3}, {"nameStrindex": 4}],
        "locationTable": [{"line": [{"functionIndex": 1}]}, {"line": [{"functionIndex": 2}]}],
        "linkTable": [{}, {"traceId": f"{TRACE:032x}", "spanId": f"{SPAN:016x}"}],
        "attributeTable": [{}, {"keyStrindex": 5, "value": {"stringValue": str(ROOT)}}],
    }
    profile = {"sampleType": {"typeStrindex": 1, "unitStrindex": 2}}
    if is_old:
        tables["attributeTable"][1] = {"key": "local root span id", "value": {"intValue": str(ROOT)}}
        profile["locationIndices"] = [1, 0, 0]
        samples[0] |= {"locationsStartIndex": 0, "locationsLength": 2}
        samples[1] |= {"locationsStartIndex": 2, "locationsLength": 1}
        profile |= {"sample": samples, "sampleType": [profile["sampleType"]]}
    else:
        tables["stackTable"] = [{"locationIndices": stack} for stack in stacks]
        samples[1]["stackIndex"] = 1
        profile["samples"] = samples
    scopes = [{"profiles": [profile]}]
    return {"resourceProfiles": [{"scopeProfiles": scopes}], "dictionary": tables}


def cpu(labels, value=10):
    return pprof([(["main", "work"], [value], labels)])


def hexes(samples):
    return samples.frame[["trace_id", "span_id", "root_span_id"]].iloc[0].tolist()


@pytest.mark.parametrize(
    "labels",
    [
        {"span_id": f"{SPAN:016x}", "trace_id": f"{TRACE:032x}"},
        {"span id": str(SPAN), "trace_id": f"{TRACE:032x}"},
        {"span id": SPAN - 2**64, "trace.id": f"{TRACE:032x}"},
        {"spanId": SPAN.to_bytes(8, "big"), "traceId": TRACE.to_bytes(16, "big")},
    ],
    ids=["hex", "decimal", "number", "bytes"],
)
def test_ids_are_read_as_profilers_write_them(labels):
    assert hexes(tk.read_profile(cpu(labels))) == [f"{TRACE:032x}", f"{SPAN:016x}", ""]


@pytest.mark.parametrize("key", ["local root span id", "local_root_span_id", "profile_id"])
def test_local_roots_are_kept_apart_from_spans(key):
    value = str(ROOT) if " " in key else f"{ROOT:016x}"
    assert hexes(tk.read_profile(cpu({key: value}))) == ["", "", f"{ROOT:016x}"]


def test_a_decimal_id_of_sixteen_digits_is_not_hex():
    assert hexes(tk.read_profile(cpu({"span id": "1234567890123456"})))[1] == f"{1234567890123456:016x}"


def test_values_and_stacks_of_pprof():
    types = (("samples", "count"), ("cpu", "nanoseconds"))
    written = pprof([(["main", "work"], [1, 30], {}), (["main"], [2, 10], {}), (["main"], [0, 0], {})], types)
    read = tk.read_profile(written)
    assert (read.value_type, read.value_unit) == ("cpu", "nanoseconds")
    assert read.frame[["stack", "weight"]].to_numpy().tolist() == [["main;work", 30], ["main", 10]]
    assert read.issues["message"].str.contains("value of 0").tolist() == [True]
    assert tk.read_profile(written, value="samples").weight.tolist() == [1, 2]


@pytest.mark.parametrize("is_old", [False, True])
def test_links_stacks_and_times_of_otlp(is_old):
    read = tk.read_profile(json.dumps(otlp(is_old=is_old)).encode())
    assert hexes(read) == [f"{TRACE:032x}", f"{SPAN:016x}", ""]
    assert read.frame["root_span_id"].tolist() == ["", f"{ROOT:016x}"]
    assert read.frame[["stack", "weight"]].to_numpy().tolist() == [["main;work", 3], ["main", 4]]
    assert read.issues.empty


def official():
    """The message of ``otlp()``, with two links and a location without a function."""
    message = profiles_pb2.ProfilesData()
    known = json.loads(json.dumps(otlp()).replace('"line"', '"lines"'))
    known["dictionary"]["linkTable"] = []
    json_format.ParseDict(known, message)
    links = message.dictionary.link_table
    links.add()
    links.add(trace_id=TRACE.to_bytes(16, "big"), span_id=SPAN.to_bytes(8, "big"))
    return message


@pytest.mark.parametrize("write", [lambda message: message.SerializeToString(), json_format.MessageToJson])
def test_messages_of_the_official_library_are_read(write):
    written = write(official())
    read = tk.read_profile(written.encode() if isinstance(written, str) else written)
    assert hexes(read) == [f"{TRACE:032x}", f"{SPAN:016x}", ""]
    assert read.frame["root_span_id"].tolist() == ["", f"{ROOT:016x}"]
    assert read.frame[["stack", "weight"]].to_numpy().tolist() == [["main;work", 3], ["main", 4]]
    assert (read.value_type, read.value_unit) == ("wall", "nanoseconds")
    assert read.issues.empty


def test_ids_in_bytes_and_numbers_of_otlp_protobuf():
    message = official()
    message.dictionary.string_table.extend(["span_id", "trace_id"])
    for number, value in ((6, {"bytes_value": SPAN.to_bytes(8, "big")}), (7, {"string_value": f"{TRACE:032x}"})):
        message.dictionary.attribute_table.add(key_strindex=number, value=common_pb2.AnyValue(**value))
    sample = message.resource_profiles[0].scope_profiles[0].profiles[0].samples[1]
    sample.attribute_indices[:] = [2, 3]
    assert tk.read_profile(message.SerializeToString()).frame.iloc[1].tolist()[:2] == [f"{TRACE:032x}", f"{SPAN:016x}"]


def test_earlier_layouts_and_samples_without_values_of_otlp_protobuf_are_not_guessed():
    message = official()
    sample = message.resource_profiles[0].scope_profiles[0].profiles[0].samples[1]
    sample.ClearField("timestamps_unix_nano")
    read = tk.read_profile(message.SerializeToString())
    assert "expected values or times, found neither" in read.issues["message"].iloc[0]
    message.dictionary.ClearField("stack_table")
    with pytest.raises(LoadError, match="expected stacks in the dictionary, found an earlier layout"):
        tk.read_profile(message.SerializeToString())


@pytest.mark.parametrize(
    ("field", "message"),
    [(b"\x0a\x01\x01", "expected int in stackIndex, found wire type 2"), (b"\x2a\x03abc", "expected times of 8 bytes")],
)
def test_fields_of_another_type_in_otlp_protobuf_are_refused(field, message):
    dictionary = profiles_pb2.ProfilesData(dictionary=official().dictionary).SerializeToString()
    written = field
    for tag in b"\x12\x12\x12\x0a":  # sample, profile, scope, resource
        written = bytes([tag, len(written)]) + written
    with pytest.raises(LoadError, match=message):
        tk.read_profile(written + dictionary)


def test_collapsed_stacks_with_leading_ids():
    read = tk.read_profile(COLLAPSED)
    assert hexes(read) == [f"{TRACE:032x}", f"{SPAN:016x}", ""]
    assert read.frame["stack"].tolist() == ["main;work", "main;idle"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress])
@pytest.mark.parametrize("data", [COLLAPSED, json.dumps(otlp()).encode(), pprof([(["f"], [1], {})], packed=False)])
def test_formats_are_found_in_the_content(pack, data):
    assert repr(tk.read_profile(pack(data))) == repr(tk.read_profile(data))


def test_a_truncated_file_is_an_issue():
    many = b"".join(b"main;f%d 3\n" % k for k in range(5000))
    read = tk.read_profile(gzip.compress(many)[:-2000])
    assert "ends early" in read.issues["message"].iloc[0]
    assert 0 < len(read) < 5000


def test_damaged_records_are_issues_with_their_place():
    read = tk.read_profile(b"main;f 3\nno count here\nspan_id=zz;main 1\nspan_id=b2\xc3\xa9;g 0\n")
    assert read.issues["record"].tolist() == [2, 3, 4, 0]
    assert read.issues["message"].str.contains("left out|without ids|value of 0").all()
    assert len(read) == 2


def test_a_negative_value_is_left_out():
    read = tk.read_profile(pprof([(["f"], [-1], {}), (["f"], [2], {})]))
    assert read.weight.tolist() == [2]
    assert "expected a value from 0 to 2**53, found -1" in read.issues["message"].iloc[0]


def test_strict_raises_at_the_first_issue():
    with pytest.raises(tk.LoadError, match="record 2: expected frames joined by ';' and a count"):
        tk.read_profile(b"main;f 3\nno count\n", strict=True)


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89PNG\r\n\x1a\n\0\0", b'{"resourceSpans": []}', b"<html>x 1"])
def test_what_is_no_profile_is_refused(data):
    with pytest.raises(tk.LoadError, match="expected a profile"):
        tk.read_profile(data)


def test_profiles_of_different_values_are_not_added():
    with pytest.raises(tk.LoadError, match="expected cpu in nanoseconds as in earlier profiles, found wall"):
        tk.read_profile([cpu({}), pprof([(["f"], [1], {})], (("wall", "nanoseconds"),))])


def test_an_unknown_value_is_refused():
    with pytest.raises(tk.LoadError, match="expected a value of cpu, found 'heap'"):
        tk.read_profile(cpu({}), value="heap")


def test_a_json_document_that_is_cut_is_refused():
    with pytest.raises(tk.LoadError, match="expected JSON"):
        tk.read_profile(json.dumps(otlp()).encode()[:-5])


WRITTEN = [COLLAPSED, json.dumps(otlp()).encode(), json.dumps(otlp(is_old=True)).encode()]
WRITTEN += [
    pprof([(["main", f"f{k}"], [k], {"span_id": f"{SPAN:016x}"}) for k in range(4)], packed=False),
    official().SerializeToString(),
]


@given(st.sampled_from(WRITTEN), st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=6), st.data())
@settings(max_examples=600, deadline=None)
def test_mutated_bytes_are_read_or_refused(data, changes, draw):
    damaged = bytearray(data)
    for at, byte in changes:
        damaged[at % len(damaged)] = byte
    end = draw.draw(st.integers(0, len(damaged)))
    try:
        read = tk.read_profile(bytes(damaged[:end]))
    except tk.LoadError:
        return
    assert isinstance(read, ProfileSamples)
    assert (read.weight > 0).all()
    assert len(read.frame) == len(read)
