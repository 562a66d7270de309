"""What the index says about the recordings, found again with json and numpy and nothing of tracekit."""

import hashlib
import json
import re
import socket
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DATASETS = Path(__file__).parents[1] / "datasets"
INDEX = {entry["name"]: entry for entry in json.loads((DATASETS / "index.json").read_text())["datasets"]}
FILES = {file["path"]: file for entry in INDEX.values() for file in entry["files"]}
CONSUMER = 5


def text_of(path):
    content = (DATASETS / path).read_bytes()
    return (zstd.decompress(content) if FILES[path]["compression"] else content).decode()


def plain(attributes):
    return {one["key"]: next(iter(one["value"].values())) for one in attributes}


def otlp_spans(text):
    for line in text.splitlines():
        for resource_spans in json.loads(line)["resourceSpans"]:
            resource = plain(resource_spans["resource"]["attributes"])
            for span in (span for scope in resource_spans["scopeSpans"] for span in scope["spans"]):
                start, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
                yield span | {"resource": resource, "a": plain(span.get("attributes", [])), "start": start, "end": end}


def xray_parts(text):
    """Every segment and subsegment with its trace and the id of what holds it."""
    for line in text.splitlines():
        for trace in json.loads(line)["Traces"]:
            waiting = [(json.loads(segment["Document"]), None) for segment in trace["Segments"]]
            while waiting:
                part, holder = waiting.pop()
                waiting += [(inner, part["id"]) for inner in part.get("subsegments", [])]
                yield trace["Id"], part, holder or part.get("parent_id")


@pytest.fixture(scope="module")
def shop():
    """The two recordings of the incident, as lists of spans."""
    return {role: list(otlp_spans(text_of(f"checkout-regression/{role}.jsonl.zst"))) for role in ("baseline", "during")}


@pytest.fixture(scope="module")
def sampled():
    """The population and what each sampler kept of it: the spans by trace id."""
    found = {}
    for role in ("population", "head", "tail", "reservoir"):
        traces = found[role] = defaultdict(list)
        for span in otlp_spans(text_of(f"tail-sampled/{role}.jsonl.zst")):
            traces[span["traceId"]].append(span)
    return found


@pytest.fixture(scope="module")
def entered(sampled):
    """The root of every trace of the population, in order of arrival."""
    return sorted(
        (one for spans in sampled["population"].values() for one in roots(spans)), key=lambda one: one["start"]
    )


@pytest.fixture(scope="module")
def xray():
    return list(xray_parts(text_of("checkout-xray/traces.jsonl.zst")))


@pytest.fixture(scope="module")
def recorder():
    """The scripts that record, importable for as long as the tests of this file run."""
    before = set(sys.modules)
    sys.path.insert(0, str(DATASETS / "record"))
    yield
    sys.path.remove(str(DATASETS / "record"))
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(DATASETS)):
            del sys.modules[name]


def roots(spans):
    return [span for span in spans if not span.get("parentSpanId")]


def milliseconds(span):
    return (span["end"] - span["start"]) / 1e6


def checkouts(spans, *tiers):
    return [one for one in roots(spans) if one["name"] == "POST /checkout" and one["a"]["app.customer.tier"] in tiers]


# the index and the files


def test_every_dataset_is_in_the_index_with_its_description():
    for name, entry in INDEX.items():
        there = {path.relative_to(DATASETS).as_posix() for path in (DATASETS / name).iterdir()}
        assert there == {file["path"] for file in entry["files"]} | {f"{name}/README.md"}
        assert (DATASETS / name / "README.md").is_file()
        assert entry["licence"] == "MIT"
        if name == "small-shop":  # drawn, not recorded
            assert entry["made"] == {"command": "python datasets/record/small_shop.py"}
        else:
            assert entry["made"]["command"].startswith(
                f"python datasets/record/shop.py {name} --seed {entry['made']['seed']}"
            )
        assert set(entry) == {"name", "title", "description", "licence", "made", "files", "truth"}
        assert entry["truth"]["summary"]


@pytest.mark.parametrize("path", FILES)
def test_bytes_and_hash_are_those_of_the_file(path):
    content = (DATASETS / path).read_bytes()
    assert len(content) == FILES[path]["bytes"]
    assert hashlib.sha256(content).hexdigest() == FILES[path]["sha256"]


def test_counts_are_those_of_the_files(shop, xray):
    for role, spans in shop.items():
        file = FILES[f"checkout-regression/{role}.jsonl.zst"]
        assert file["role"] == role
        assert (file["span_count"], file["trace_count"]) == (len(spans), len({span["traceId"] for span in spans}))
    file = FILES["checkout-xray/traces.jsonl.zst"]
    assert (file["span_count"], file["trace_count"]) == (len(xray), len({trace for trace, _, _ in xray}))


def test_the_recordings_stay_small():
    assert max(file["bytes"] for file in FILES.values()) < 5_000_000
    assert sum(file["bytes"] for path, file in FILES.items() if path.startswith("tail-sampled")) < 3_300_000
    assert sum(file["bytes"] for path, file in FILES.items() if path.startswith("checkout-regression")) < 2_000_000
    assert FILES["checkout-xray/traces.jsonl.zst"]["bytes"] < 200_000


@pytest.mark.parametrize("path", FILES)
def test_nothing_of_the_recording_machine_is_in_the_data(path):
    text = text_of(path)
    assert not re.findall(r"[\"' (]/(?:work|root|opt|usr|home|tmp|Users|private|var)\b[^\"]*", text)
    assert not re.findall(r"site-packages|[A-Z]:\\\\", text)
    for name in (f'"{socket.gethostname()}"', str(DATASETS.parent), str(Path.home()) + "/", sys.prefix + "/"):
        assert name not in text
    assert set(re.findall(r'"host\.name","value":\{"stringValue":"([^"]+)"', text)) <= {"shop-1", "shop-2", "shop-3"}


# the shop's traces


def test_every_trace_is_complete(shop):
    for spans in shop.values():
        by_id = {span["spanId"]: span for span in spans}
        assert len(by_id) == len(spans)
        assert Counter(span["traceId"] for span in roots(spans)).most_common(1)[0][1] == 1
        assert len(roots(spans)) == 1000
        for span in spans:
            assert span["start"] <= span["end"]
            if parent := span.get("parentSpanId"):
                assert by_id[parent]["traceId"] == span["traceId"]


def test_children_lie_within_their_parents_except_behind_the_queue(shop):
    for spans in shop.values():
        by_id = {span["spanId"]: span for span in spans}
        for span in spans:
            parent = by_id.get(span.get("parentSpanId"))
            if parent and span["kind"] != CONSUMER:
                assert parent["start"] <= span["start"] <= span["end"] <= parent["end"], span["name"]


def test_every_call_has_both_ends_and_only_the_bank_answers_untraced(shop):
    for spans in shop.values():
        answered = {span["parentSpanId"] for span in spans if span["kind"] == 2 and span.get("parentSpanId")}
        calls = [span for span in spans if span["kind"] == 3 and "url.full" in span["a"]]
        assert {span["a"]["server.address"] for span in calls if span["spanId"] not in answered} == {
            "api.acquirer.example"
        }
        assert len({span["resource"]["service.name"] for span in spans}) == 9


def test_consumers_continue_and_link_to_their_producers(shop):
    for spans in shop.values():
        by_id = {span["spanId"]: span for span in spans}
        consumers = [span for span in spans if span["kind"] == CONSUMER]
        assert len(consumers) == len([span for span in spans if span["kind"] == 4]) > 400
        for consumer in consumers:
            producer = by_id[consumer["parentSpanId"]]
            assert (producer["kind"], producer["name"]) == (4, "send orders.placed")
            assert [link["spanId"] for link in consumer["links"]] == [producer["spanId"]]
            assert consumer["a"]["messaging.message.id"] == producer["a"]["messaging.message.id"]


def test_conventions_are_the_present_ones(shop):
    keys = {key for spans in shop.values() for span in spans for key in (*span["a"], *span["resource"])}
    assert keys >= {
        *("http.request.method", "http.route", "http.response.status_code", "url.full", "server.address", "error.type"),
        *("db.system.name", "db.query.text", "db.namespace", "db.operation.name", "db.collection.name"),
        *("messaging.system", "messaging.destination.name", "messaging.operation.type", "http.request.resend_count"),
        *("service.name", "service.version", "service.instance.id", "deployment.environment.name", "app.customer.tier"),
    }
    old = {"http.method", "http.url", "http.status_code", "db.system", "db.statement", "net.peer.name", "peer.service"}
    assert not keys & old


def test_errors_are_there_and_rare_and_the_same_in_both(shop):
    for spans in shop.values():
        statuses = Counter(int(span["a"]["http.response.status_code"]) for span in roots(spans))
        assert sum(count for status, count in statuses.items() if status >= 500) == 2
        assert sum(count for status, count in statuses.items() if 400 <= status < 500) == 19
        resent = [span for span in spans if "http.request.resend_count" in span["a"]]
        assert len(resent) == 17
        events = [plain(event["attributes"]) for span in spans for event in span.get("events", [])]
        assert {event["exception.type"] for event in events} >= {"TypeError", "buying.AcquirerUnavailableError"}
        assert all(
            "Traceback" in event["exception.stacktrace"] for event in events if "TypeError" in event["exception.type"]
        )
        assert all(re.findall(r'File "(?!\w+\.py")', event["exception.stacktrace"]) == [] for event in events)


# the truth


@pytest.mark.usefixtures("recorder")
def test_both_recordings_answered_the_planned_requests(shop):
    from load import plan  # noqa: PLC0415 - stands in datasets/record

    planned = plan(INDEX["checkout-regression"]["made"]["seed"], 1000, 10)
    wanted = Counter((one.method, one.target.partition("?")[0], one.customer.id, one.customer.tier) for one in planned)
    for spans in shop.values():
        got = Counter(
            tuple(root["a"][key] for key in ("http.request.method", "url.path", "app.customer.id", "app.customer.tier"))
            for root in roots(spans)
        )
        assert got == wanted


@pytest.mark.usefixtures("recorder")
def test_a_seed_gives_one_plan():
    from load import plan  # noqa: PLC0415 - stands in datasets/record

    assert plan(3, 200, 10) == plan(3, 200, 10)
    assert plan(3, 100, 10) == plan(3, 200, 10)[:100]
    assert plan(3, 200, 10) != plan(4, 200, 10)
    assert [one.at_s for one in plan(3, 50, 10)] == sorted(one.at_s for one in plan(3, 50, 10))


def test_the_release_slowed_enterprise_checkouts_only(shop):
    truth = INDEX["checkout-regression"]["truth"]
    assert (truth["service"], truth["affected"]["value"]) == ("ledger", "enterprise")
    for tiers, low, high in ((("enterprise",), 120, 180), (("free", "pro"), -2, 2)):
        before, during = (np.mean([milliseconds(one) for one in checkouts(shop[role], *tiers)]) for role in shop)
        assert low < during - before < high
    versions = [
        {s["resource"]["service.version"] for s in spans if s["resource"]["service.name"] == "ledger"}
        for spans in shop.values()
    ]
    assert versions == [{"1.4.0"}, {"1.5.0"}]
    others = [
        {
            (s["resource"]["service.name"], s["resource"]["service.version"])
            for s in spans
            if s["resource"]["service.name"] != "ledger"
        }
        for spans in shop.values()
    ]
    assert others[0] == others[1]


def test_the_slow_call_is_one_query_for_each_cost_centre(shop):
    queries = {
        role: Counter(s["traceId"] for s in spans if s["name"] == "SELECT entries") for role, spans in shop.items()
    }
    assert set(queries["baseline"].values()) == {1}
    enterprise = {one["traceId"] for one in checkouts(shop["during"], "enterprise")}
    counts = {is_enterprise: set() for is_enterprise in (True, False)}
    for trace, count in queries["during"].items():
        counts[trace in enterprise].add(count)
    assert counts[False] == {1}
    assert min(counts[True]) >= 20
    assert max(counts[True]) <= 44


def test_taking_the_queries_away_gives_back_the_baseline(shop):
    """Without the planted queries the p95 falls into the bootstrap interval of the baseline's."""
    without = {}
    for role, spans in shop.items():
        spent = defaultdict(float)
        for span in spans:
            spent[span["traceId"]] += milliseconds(span) if span["name"] == "SELECT entries" else 0
        without[role] = np.array([milliseconds(root) - spent[root["traceId"]] for root in roots(spans)])
    chance = np.random.default_rng(0)
    samples = chance.choice(without["baseline"], (1000, 1000))
    low, high = np.quantile(np.quantile(samples, 0.95, axis=1), [0.05, 0.95])
    assert low < np.quantile(without["during"], 0.95) < high
    with_queries = np.quantile([milliseconds(root) for root in roots(shop["during"])], 0.95)
    assert with_queries > 2 * high


def test_operations_without_the_incident_stayed_as_they_were(shop):
    durations = {role: defaultdict(list) for role in shop}
    for role, spans in shop.items():
        for span in spans:
            is_touched = (
                span["resource"]["service.name"] == "ledger"
                or "authorizations" in span["name"]
                or "checkout" in span["name"]
            )
            if not is_touched:
                durations[role][span["resource"]["service.name"], span["kind"], span["name"]].append(milliseconds(span))
    assert set(durations["baseline"]) == set(durations["during"])
    for operation, before in durations["baseline"].items():
        if np.median(before) > 2:
            assert np.median(durations["during"][operation]) == pytest.approx(np.median(before), rel=0.08), operation


def test_the_recording_has_no_cold_start(shop):
    for spans in shop.values():
        times = [milliseconds(one) for one in sorted(checkouts(spans, "free", "pro"), key=lambda one: one["start"])]
        assert np.median(times[:50]) == pytest.approx(np.median(times[50:]), rel=0.15)


def test_the_measured_figures_are_those_of_the_data(shop):
    measured = INDEX["checkout-regression"]["truth"]["measured"]
    for role, spans in shop.items():
        all_ms = [milliseconds(one) for one in roots(spans)]
        figures = {"all_requests": measured[role]["all_requests"], **measured[role]["POST /checkout"]}
        for name, said in figures.items():
            found = all_ms if name == "all_requests" else [milliseconds(one) for one in checkouts(spans, name)]
            assert said["count"] == len(found)
            assert said["mean_ms"] == pytest.approx(np.mean(found), abs=0.006)
            assert said["p95_ms"] == pytest.approx(np.quantile(found, 0.95), abs=0.006)
        assert measured[role]["error_ratio"] == 0.002


# what samplers keep


def logged_id(line):
    return "".join(re.search(r'"Root=1-([0-9a-f]{8})-([0-9a-f]{24})"', line).groups())


def configuration(role):
    return json.loads((DATASETS / "tail-sampled" / f"{role}.json").read_text(encoding="utf-8"))


def test_samples_hold_whole_traces_of_the_population_and_change_nothing_but_the_state(sampled):
    for role, traces in sampled.items():
        file = FILES[f"tail-sampled/{role}.jsonl.zst"]
        assert (file["span_count"], file["trace_count"]) == (sum(map(len, traces.values())), len(traces))
        for trace_id, spans in traces.items():
            ids = {span["spanId"] for span in spans}
            assert len(ids) == len(spans)
            assert len(roots(spans)) == 1
            assert all(span["parentSpanId"] in ids for span in spans if span.get("parentSpanId"))
            plain_spans = [{key: value for key, value in span.items() if key != "traceState"} for span in spans]
            by_id = sorted(plain_spans, key=lambda span: span["spanId"])
            assert by_id == sorted(sampled["population"][trace_id], key=lambda span: span["spanId"])


def test_the_head_sampler_kept_the_ids_that_its_threshold_does_not_reject(sampled):
    random_bits = {one: int(one, 16) % 2**56 / 2**56 for one in sampled["population"]}
    assert set(sampled["head"]) == {one for one, share in random_bits.items() if share >= 14 / 16}
    assert {span.get("traceState") for spans in sampled["head"].values() for span in spans} == {"ot=th:e"}


def test_the_tail_sampler_kept_failing_traces_and_slow_ones_and_a_share_of_the_rest(sampled):
    tail_sampling = configuration("collector")["processors"]["tail_sampling"]
    errors, slow, rest = tail_sampling["policies"]
    assert errors["status_code"] == {"status_codes": ["ERROR"]}
    why = {"errors": set(), "slow": set(), "rest": set()}
    for trace_id, spans in sampled["population"].items():
        drawn = 0xCBF29CE484222325
        for byte in b"default-hash-seed" + bytes.fromhex(trace_id):
            drawn = (drawn ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
        took_ms = (max(span["end"] for span in spans) - min(span["start"] for span in spans)) // 1_000_000
        if any(span["status"].get("code") == 2 for span in spans):
            why["errors"].add(trace_id)
        elif took_ms >= slow["latency"]["threshold_ms"]:
            why["slow"].add(trace_id)
        elif drawn / 2**64 <= rest["probabilistic"]["sampling_percentage"] / 100:
            why["rest"].add(trace_id)
    assert set(sampled["tail"]) == set.union(*why.values())
    assert INDEX["tail-sampled"]["truth"]["measured"]["kept_by"] == {name: len(ids) for name, ids in why.items()}
    assert not any("traceState" in span for spans in sampled["tail"].values() for span in spans)


def test_the_reservoir_took_the_first_trace_after_every_second_and_the_sdk_drew_the_others(sampled, entered):
    ratio = pytest.importorskip("opentelemetry.sdk.trace.sampling", reason="needs the record extra").TraceIdRatioBased
    (rule,) = configuration("xray-rules")
    assert rule["ReservoirSize"] == 1
    draw = ratio(rule["FixedRate"])
    start = np.array([one["start"] for one in entered])
    taken, full = [], start[0] + 10**9
    while (at := np.searchsorted(start, full)) < len(start):
        taken.append(entered[at]["traceId"])
        full = start[at] + 10**9
    drawn = {
        one["traceId"] for one in entered if draw.should_sample(None, int(one["traceId"], 16), "").decision.is_sampled()
    }
    assert set(sampled["reservoir"]) == set(taken) | drawn
    assert len(set(taken) - drawn) > 150
    state = f"xrsr={hashlib.sha256(rule['RuleName'].encode()).hexdigest()[:16]}"
    assert {span.get("traceState") for spans in sampled["reservoir"].values() for span in spans} == {state}


def test_the_access_log_has_every_request_once_and_was_written_apart(entered):
    lines = {logged_id(line): line for line in text_of("tail-sampled/access-log.log.zst").splitlines()}
    assert set(lines) == {one["traceId"] for one in entered}
    for one in entered:
        cells = lines[one["traceId"]].split(" ")
        assert cells[8] == one["a"]["http.response.status_code"]
        assert cells[12:14] == [
            f'"{one["a"]["http.request.method"]}',
            f"https://www.shop.example:443{one['a']['url.path']}",
        ]
        assert 0 < float(cells[6]) * 1e3 - milliseconds(one) < 250


@pytest.mark.usefixtures("recorder")
def test_the_night_and_the_day_are_those_of_the_plan(entered):
    from load import one_after_another  # noqa: PLC0415 - stands in datasets/record
    from tail_sampled import NIGHT, phases  # noqa: PLC0415 - likewise

    planned = one_after_another(INDEX["tail-sampled"]["made"]["seed"], phases(len(entered), 27))
    asked = [(one.method, one.target.partition("?")[0], one.customer.id, one.customer.tier) for one in planned]
    keys = ("http.request.method", "url.path", "app.customer.id", "app.customer.tier")
    got = [tuple(root["a"][key] for key in keys) for root in entered]
    assert Counter(got) == Counter(asked)
    assert {tier for *_, tier in got[: NIGHT - 5]} == {"enterprise"}
    arrivals = np.array([root["start"] for root in entered])
    assert NIGHT / 2.5 < (arrivals[NIGHT - 1] - arrivals[0]) / 1e9 < NIGHT / 1.5


def test_the_truth_is_that_of_the_population(entered):
    measured = INDEX["tail-sampled"]["truth"]["measured"]
    failed = {one["traceId"] for one in entered if one["status"].get("code") == 2}
    assert sorted(failed) == measured["failing_trace_ids"]
    assert failed == {one["traceId"] for one in entered if int(one["a"]["http.response.status_code"]) >= 500}
    labels = {
        "http.route": lambda one: f"{one['a']['http.request.method']} {one['a']['http.route']}",
        **{key: lambda one, key=key: one["a"][key] for key in measured if key.startswith("app.") or "status" in key},
    }
    parts = {("all_requests",): entered}
    for name, label in labels.items():
        assert set(measured[name]) == set(map(label, entered))
        parts |= {(name, value): [one for one in entered if label(one) == value] for value in measured[name]}
    for (name, *value), some in parts.items():
        said = measured[name][value[0]] if value else measured[name]
        errors = sum(one["traceId"] in failed for one in some)
        assert (said["count"], said["error_count"]) == (len(some), errors)
        assert said["error_ratio"] == pytest.approx(errors / len(some), abs=6e-6)
        assert ("p95_ms" in said) == (len(some) >= 100)
        if "p95_ms" in said:
            took = np.quantile([milliseconds(one) for one in some], [0.5, 0.95, 0.99])
            assert [said[f"p{share}_ms"] for share in (50, 95, 99)] == pytest.approx(took, abs=0.006)


def test_the_samples_mislead_as_in_the_index(sampled):
    measured = INDEX["tail-sampled"]["truth"]["measured"]
    for role, said in measured["raw"].items():
        found = [one for spans in sampled[role].values() for one in roots(spans)]
        assert said["count"] == len(found)
        assert said["error_count"] == sum(one["status"].get("code") == 2 for one in found)
        assert said["p95_ms"] == pytest.approx(np.quantile([milliseconds(one) for one in found], 0.95), abs=0.006)
    true = measured["all_requests"]
    assert measured["raw"]["tail"]["error_ratio"] > 7 * true["error_ratio"]
    assert measured["raw"]["tail"]["p95_ms"] > 2 * true["p95_ms"]
    assert measured["raw"]["reservoir"]["p95_ms"] > 1.2 * true["p95_ms"]
    assert measured["raw"]["head"]["error_ratio"] == pytest.approx(true["error_ratio"], rel=0.6)


def test_every_release_did_its_harm(sampled):
    """A product without a price fails its page, a bank that is away its checkout; enterprise checkouts are slow."""
    harm = defaultdict(list)
    for spans in sampled["population"].values():
        (root,) = roots(spans)
        harm[root["a"]["http.route"], root["a"]["app.customer.tier"] == "enterprise"].append((root, spans))
    pages = [(root, spans) for key in harm for root, spans in harm[key] if key[0] == "/products/{product_id}"]
    for root, _ in pages:
        assert (root["status"].get("code") == 2) == (root["a"]["url.path"] == "/products/p-0003")
    calls = [Counter(span["name"] for span in spans if span["kind"] == 3) for _, spans in harm["/checkout", True]]
    assert max(one["POST /v1/charges"] for one in calls) == 1
    assert min(one["SELECT entries"] for one in calls if one["SELECT entries"]) >= 20
    slow, quick = (np.median([milliseconds(root) for root, _ in harm["/checkout", who]]) for who in (True, False))
    assert slow > 2 * quick


# X-Ray


def test_answers_hold_five_traces_and_documents_that_name_them():
    answers = [json.loads(line) for line in text_of("checkout-xray/traces.jsonl.zst").splitlines()]
    assert {len(answer["Traces"]) for answer in answers} == {5}
    for answer in answers:
        assert answer["UnprocessedTraceIds"] == []
        for trace in answer["Traces"]:
            documents = [json.loads(segment["Document"]) for segment in trace["Segments"]]
            assert [segment["Id"] for segment in trace["Segments"]] == [document["id"] for document in documents]
            assert {document["trace_id"] for document in documents} == {trace["Id"]}
            spread = max(one["end_time"] for one in documents) - min(one["start_time"] for one in documents)
            assert trace["Duration"] == pytest.approx(spread, abs=0.001)
            assert trace["LimitExceeded"] is False


def test_every_part_of_a_trace_is_there(xray):
    ids = defaultdict(set)
    for trace, part, _ in xray:
        ids[trace].add(part["id"])
    starts = Counter(trace for trace, _, holder in xray if holder is None)
    assert set(starts.values()) == {1}
    assert all(holder in ids[trace] for trace, _, holder in xray if holder)
    assert not any(part["in_progress"] for _, part, _ in xray)


def test_the_shapes_that_a_reader_must_handle_occur(xray):
    parts = [part for _, part, _ in xray]
    causes = [part["cause"] for part in parts if "cause" in part]
    ids = {exception["id"] for cause in causes if isinstance(cause, dict) for exception in cause["exceptions"]}
    assert {cause for cause in causes if isinstance(cause, str)}
    assert {cause for cause in causes if isinstance(cause, str)} <= ids
    assert {cause["working_directory"] for cause in causes if isinstance(cause, dict)} == {"/srv/shop"}
    for key in ("annotations", "metadata", "user", "sql", "fault", "throttle", "error"):
        assert any(key in part for part in parts), key
    assert {part.get("namespace") for part in parts} == {None, "local", "remote", "aws"}
    streamed = [
        part
        for line in text_of("checkout-xray/traces.jsonl.zst").splitlines()
        for t in json.loads(line)["Traces"]
        for part in (json.loads(s["Document"]) for s in t["Segments"])
        if part.get("type") == "subsegment"
    ]
    assert streamed
    assert {part["aws"]["operation"] for part in parts if part.get("namespace") == "aws"} >= {
        "GetItem",
        "PutItem",
        "SendMessage",
    }


def test_the_counts_of_shapes_are_those_of_the_data(xray):
    said = INDEX["checkout-xray"]["truth"]["counted"]
    for flag in ("error", "fault", "throttle", "sql", "annotations", "metadata", "cause"):
        assert said[flag] == sum(flag in part for _, part, _ in xray)
    for namespace in ("aws", "local", "remote"):
        assert said[f"namespace {namespace}"] == sum(part.get("namespace") == namespace for _, part, _ in xray)
    assert said["segment"] == sum(part.get("type") != "subsegment" for _, part, _ in xray)


# the recorder


@pytest.mark.usefixtures("recorder")
@pytest.mark.parametrize("role", ["baseline", "current"])
def test_the_small_shop_is_the_one_that_is_drawn(role):
    import small_shop  # noqa: PLC0415 - stands in datasets/record

    text = text_of(f"small-shop/{role}.jsonl")
    assert text.splitlines() == small_shop.lines(role)
    spans = list(otlp_spans(text))
    file = FILES[f"small-shop/{role}.jsonl"]
    assert (file["span_count"], file["trace_count"]) == (len(spans), len(text.splitlines()))
    mean_ms = np.mean([milliseconds(root) for root in roots(spans)])
    assert mean_ms == INDEX["small-shop"]["truth"]["mean_ms"][role]
    parents = {span["spanId"]: span for span in spans}
    for child in spans:
        if parent := parents.get(child.get("parentSpanId")):
            assert parent["start"] < child["start"] < child["end"] < parent["end"]
    readme = (DATASETS / "small-shop" / "README.md").read_text()
    assert role == "baseline" or all(f"| {milliseconds(root):g} ms |" in readme for root in roots(spans))


@pytest.mark.usefixtures("recorder")
def test_the_shop_records_complete_traces_with_the_requested_release():
    pytest.importorskip("opentelemetry.exporter.otlp.json.file", reason="needs the record extra")
    from incidents import SLOW_LEDGER  # noqa: PLC0415 - stands in datasets/record
    from load import plan  # noqa: PLC0415 - likewise
    from recording import record  # noqa: PLC0415 - likewise

    recording = record(SLOW_LEDGER, seed=1, warmup=plan(1, 5, 25, "w"), load=plan(1, 25, 25))
    spans = list(otlp_spans("\n".join(recording.lines)))
    ids = {span["spanId"] for span in spans}
    assert len(roots(spans)) == len({span["traceId"] for span in spans}) == sum(recording.statuses.values()) == 25
    assert all(span["parentSpanId"] in ids for span in spans if span.get("parentSpanId"))
    assert {s["resource"]["service.version"] for s in spans if s["resource"]["service.name"] == "ledger"} == {"1.5.0"}
    assert sorted(map(logged_id, recording.access_log)) == sorted({span["traceId"] for span in spans})


@pytest.mark.usefixtures("recorder")
def test_a_recording_that_names_the_machine_is_refused(tmp_path):
    from publish import write  # noqa: PLC0415 - stands in datasets/record

    with pytest.raises(ValueError, match="expected a recording without names of this machine, found"):
        write(tmp_path / "x" / "a.jsonl.zst", [json.dumps({"path": str(DATASETS.parent / "secret.py")})])
    assert not (tmp_path / "x").exists()


@pytest.mark.usefixtures("recorder")
def test_a_disturbed_pair_of_recordings_is_refused():
    from incidents import SLOW_LEDGER  # noqa: PLC0415 - stands in datasets/record
    from shop import _check_quiet  # noqa: PLC0415 - likewise

    def lines(free_ms, enterprise_ms):
        attribute = {"key": "app.customer.tier", "value": {"stringValue": "free"}}
        other = {"key": "app.customer.tier", "value": {"stringValue": "enterprise"}}
        spans = [
            {
                "name": "POST /checkout",
                "startTimeUnixNano": "0",
                "endTimeUnixNano": str(int(ms * 1e6)),
                "attributes": [one],
            }
            for ms, one in ((free_ms, attribute), (enterprise_ms, other))
        ]
        named = [{"key": key, "value": {"stringValue": "x"}} for key in ("service.name", "service.version")]
        return [json.dumps({"resourceSpans": [{"resource": {"attributes": named}, "scopeSpans": [{"spans": spans}]}]})]

    _check_quiet(lines(100, 100), lines(102, 400), SLOW_LEDGER)
    with pytest.raises(
        RuntimeError, match=r"at most 3% change in latency .* found \+4\.0%: other programs were running"
    ):
        _check_quiet(lines(100, 100), lines(104, 400), SLOW_LEDGER)


@pytest.mark.usefixtures("recorder")
def test_a_new_recording_leaves_the_rest_of_the_index(tmp_path):
    from publish import enter  # noqa: PLC0415 - stands in datasets/record

    index = tmp_path / "index.json"
    index.write_text(json.dumps({"version": 1, "datasets": [{"name": "b"}], "audits": [{"name": "shop"}]}))
    enter(index, {"name": "a"})
    enter(index, {"name": "b", "seed": 2})
    written = json.loads(index.read_text(encoding="utf-8"))
    assert written["audits"] == [{"name": "shop"}]
    assert written["datasets"] == [{"name": "a"}, {"name": "b", "seed": 2}]
