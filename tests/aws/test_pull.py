"""Pulling from an X-Ray on loopback that answers as documented."""

import json
import re

import pandas as pd
import pytest
from fake_xray import BEGUN, SIX_HOURS, Trace, document, trace_id

import tracekit as tk
from tracekit.aws.pull import insights
from tracekit.aws.pull.xray import pull_xray
from tracekit.pull import progress
from tracekit.pull.folder import PullFolder, read_lines


def utc(second):
    return pd.Timestamp(second, unit="s").isoformat()


def pulled(folder, *what, **how):
    return pull_xray(folder, *what, backoff_s=0.0, **how)


def requests(server, operation):
    return [body for name, body in server.requests if name == operation]


# -------------------------------------------------------------------- by id


def test_every_id_is_accounted_for(serve, tmp_path):
    running = document(trace_id(3), 6).replace('"end_time":1760000000.75,', '"in_progress":true,')
    server = serve([Trace(1), Trace(2, limit=True), Trace(3, segments=[running]), *map(Trace, (4, 5, 6, 7))])
    server.never = {trace_id(4)}
    asked = [trace_id(number) for number in range(1, 9)]
    pull = pulled(tmp_path / "pulled", asked)
    assert pull.accounts["xray_id"].tolist() == asked
    expected = ["returned", "truncated", "partial", "unprocessed", "returned", "returned", "returned", "not_found"]
    assert pull.accounts["outcome"].tolist() == expected
    assert pull.counts == {"returned": 4, "partial": 1, "truncated": 1, "not_found": 1, "unprocessed": 1}
    assert all(len(body["TraceIds"]) <= 5 for body in requests(server, "BatchGetTraces"))
    assert server.asked[trace_id(4)] == 5, "asked again in every round"
    assert server.asked[trace_id(1)] == 1
    traces = tk.read(pull.folder)
    assert sorted(traces.trace_ids) == sorted(pull.accounts.index[[0, 1, 2, 4, 5, 6]])
    told = traces.issues.set_index("code")["trace_id"]
    assert told["XR_UNPROCESSED"] == pull.accounts.index[3]
    assert told["XR_LIMIT_EXCEEDED"] == pull.accounts.index[1]
    assert traces.summary["span_count"].sum() == 5 * 4 + 2


def test_pages_are_read_to_the_last_and_unprocessed_ids_of_all_of_them_count(serve, tmp_path):
    server = serve(map(Trace, range(1, 6)), page=1)
    server.never = {trace_id(1), trace_id(5)}
    pull = pulled(tmp_path / "pulled", list(server.traces))
    assert pull.accounts["outcome"].tolist() == ["unprocessed", "returned", "returned", "returned", "unprocessed"]
    assert pull.calls["BatchGetTraces"] == 5 + 4 * 2


def test_ids_come_from_lists_texts_and_files(serve, tmp_path):
    server = serve([Trace(1), Trace(2)])
    (tmp_path / "ids").write_text(f"{trace_id(1)}\n{trace_id(2).upper().replace('-', '')[1:]}\n{trace_id(1)}\n")
    assert pulled(tmp_path / "a", tmp_path / "ids").counts == {"returned": 2}
    assert pulled(tmp_path / "b", f"{trace_id(1)}, {trace_id(2)}").counts == {"returned": 2}
    with pytest.raises(
        tk.PullError, match=r"expected a trace id as in 1-58406520-.*, found 'abc'; nothing was requested"
    ):
        pulled(tmp_path / "c", [trace_id(1), "abc"])
    assert server.calls["BatchGetTraces"] == 2


def test_a_rejected_id_does_not_lose_the_others_of_its_batch(serve, tmp_path):
    server = serve(map(Trace, range(1, 6)))
    answer = server.answer

    def strict(operation, body):
        if trace_id(2) in body.get("TraceIds", ()):
            return 400, {"__type": "InvalidRequestException", "message": "bad trace id"}
        return answer(operation, body)

    server.answer = strict
    pull = pulled(tmp_path / "pulled", list(server.traces))
    assert pull.counts == {"returned": 4, "failed": 1}
    assert pull.accounts.loc[pull.accounts["outcome"] == "failed", "reason"].tolist() == ["refused: bad trace id"]


def test_a_trace_without_an_id_is_identified_by_its_segments(serve, tmp_path, monkeypatch):
    server = serve([Trace(1), Trace(2)])
    monkeypatch.setattr(Trace, "answer", lambda self, whole=Trace.answer: {**whole(self), "Id": None})
    pull = pulled(tmp_path / "pulled", list(server.traces))
    assert pull.counts == {"returned": 2}
    assert len(tk.read(pull.folder)) == 2


def test_nothing_to_pull_is_an_empty_account(serve, tmp_path):
    serve()
    pull = pulled(tmp_path / "pulled", start=utc(BEGUN), end=utc(BEGUN + 60))
    assert len(pull.accounts) == 0
    assert repr(pull).endswith("0 traces: none found)")


# -------------------------------------------------------------------- by time


def test_time_is_requested_in_windows_of_six_hours(serve, tmp_path):
    traces = [Trace(number, BEGUN + number * 3000) for number in range(20)]
    server = serve(traces)
    pull = pulled(tmp_path / "pulled", start=utc(BEGUN), end=utc(BEGUN + 60_000))
    assert pull.counts == {"returned": 20}
    asked = {(body["StartTime"], body["EndTime"]) for body in requests(server, "GetTraceSummaries")}
    assert asked == {
        (BEGUN, BEGUN + SIX_HOURS),
        (BEGUN + SIX_HOURS, BEGUN + 2 * SIX_HOURS),
        (BEGUN + 2 * SIX_HOURS, BEGUN + 60_000),
    }
    assert {body["TimeRangeType"] for body in requests(server, "GetTraceSummaries")} == {"Event"}
    assert "FilterExpression" not in requests(server, "GetTraceSummaries")[0]
    assert sorted(tk.read(pull.folder).trace_ids) == sorted(pull.accounts.index)


def test_halves_are_remembered(serve, tmp_path):
    server = serve([Trace(number, BEGUN + number * 1000) for number in range(20)], longest=5500)
    server.faults = lambda operation, _: "expired" if operation == "BatchGetTraces" else None
    time = {"start": utc(BEGUN), "end": utc(BEGUN + 20_000)}
    with pytest.raises(tk.PullError, match="ExpiredToken"):
        pulled(tmp_path / "pulled", **time)
    server.faults = lambda *_: None
    asked = server.calls["GetTraceSummaries"]
    assert pulled(tmp_path / "pulled", **time).counts == {"returned": 20}
    assert server.calls["GetTraceSummaries"] == asked


def test_a_window_that_x_ray_finds_too_long_is_halved(serve, tmp_path):
    server = serve([Trace(number, BEGUN + number * 1000) for number in range(20)], longest=5500)
    pull = pulled(tmp_path / "pulled", start=utc(BEGUN), end=utc(BEGUN + 20_000))
    assert pull.counts == {"returned": 20}
    server.longest = 0
    with pytest.raises(tk.PullError, match="400 InvalidRequestException: Time range cannot be longer than 6 hours"):
        pulled(tmp_path / "other", start=utc(BEGUN), end=utc(BEGUN + 3))


def test_what_is_looked_for_becomes_one_filter_expression(serve, tmp_path):
    server = serve([Trace(1)])
    time = {"start": utc(BEGUN), "end": utc(BEGUN + 60)}
    pulled(tmp_path / "a", service='pay"ments', group="slow", filter="ok OR fault", time_range="Service", **time)
    (body,) = requests(server, "GetTraceSummaries")
    assert body["FilterExpression"] == 'service("pay\\"ments") AND group.name = "slow" AND (ok OR fault)'
    assert body["TimeRangeType"] == "Service"
    pulled(tmp_path / "b", filter="ok OR fault", **time)
    assert requests(server, "GetTraceSummaries")[-1]["FilterExpression"] == "ok OR fault"


def test_a_refused_filter_expression_is_explained(serve, tmp_path):
    serve([Trace(1)])
    with pytest.raises(
        tk.PullError, match=r"Invalid filter expression.*expected an X-Ray keyword, found 'colour' at 7"
    ):
        pulled(tmp_path / "a", filter="ok AND colour", start=utc(BEGUN), end=utc(BEGUN + 60))
    with pytest.raises(tk.PullError, match=r"Invalid filter expression \(request id request-1\)$"):
        pulled(tmp_path / "b", filter='user = "colour"', start=utc(BEGUN), end=utc(BEGUN + 60))


def test_sampling_is_requested_in_the_terms_of_x_ray(serve, tmp_path):
    server = serve([Trace(1)])
    time = {"start": utc(BEGUN), "end": utc(BEGUN + 60)}
    pulled(tmp_path / "a", sampling=0.25, **time)
    pulled(tmp_path / "b", sampling=True, **time)
    fixed, some = requests(server, "GetTraceSummaries")
    assert (fixed["Sampling"], fixed["SamplingStrategy"]) == (True, {"Name": "FixedRate", "Value": 0.25})
    assert some["Sampling"] is True
    assert "SamplingStrategy" not in some


def test_a_time_ago_is_a_time(serve, tmp_path):
    now = int(pd.Timestamp.now("UTC").timestamp())
    server = serve([Trace(1, now - 1800)])
    assert pulled(tmp_path / "pulled", start="1h").counts == {"returned": 1}
    (body,) = requests(server, "GetTraceSummaries")
    assert abs(body["EndTime"] - now) < 60
    assert body["EndTime"] - body["StartTime"] == 3600


# -------------------------------------------------------------------- large ones, progress


def test_a_large_pull_needs_a_yes_and_requests_its_ids_once(serve, tmp_path):
    server = serve([Trace(number) for number in range(1000 + 1)], page=1000)
    time = {"start": utc(BEGUN), "end": utc(BEGUN + 60)}
    expected = (
        r"expected confirmation of 1,001 traces in 201 calls, about 0.1 minutes, .*, found none; continue with yes=True"
    )
    with pytest.raises(tk.PullError, match=expected):
        pulled(tmp_path / "pulled", **time)
    assert server.calls["BatchGetTraces"] == 0
    on_answer = []
    pull = pulled(tmp_path / "pulled", yes=True, on_progress=on_answer.append, **time)
    assert pull.counts == {"returned": 1000 + 1}
    assert server.calls["GetTraceSummaries"] == 2, "two pages, read once"
    assert (on_answer[0].done_count, on_answer[0].total_count, on_answer[0].left_s) == (0, 1000 + 1, None)
    assert (on_answer[-1].done_count, on_answer[-1].left_s) == (1000 + 1, 0)
    assert re.fullmatch(r"1,001 of 1,001 traces, [\d,]+/s, 0:00 left", str(on_answer[-1]))
    assert pull.estimate.call_count == 201


def test_a_terminal_shows_a_line_that_is_written_over(serve, tmp_path, monkeypatch, capsys):
    serve([Trace(1)])
    monkeypatch.setattr(progress, "_EVERY_S", 0.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    pulled(tmp_path / "pulled", [trace_id(1)])
    lines = capsys.readouterr().err.split("\r\x1b[2K")
    assert lines[1] == "0 of 1 traces, 0/s"
    assert re.fullmatch(r"1 of 1 traces, [\d,]+/s, 0:00 left\n", lines[-1])


def test_the_result_shows_itself(serve, tmp_path):
    serve([Trace(1)])
    pull = pulled(tmp_path / "<pulled>", [trace_id(1), trace_id(2)])
    assert repr(pull) == f"Pull({tmp_path}/<pulled>: 2 traces: 1 returned, 1 not_found)"
    assert "&lt;pulled&gt;" in pull._repr_html_()
    assert "<tr><th>not_found</th><td>1</td></tr>" in pull._repr_html_()


# -------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, "no trace IDs and no period: pass --ids"),
        ({"service": "web"}, "no trace IDs and no period: pass --ids"),
        ({"trace_ids": trace_id(1), "service": "web"}, "found both; omit one"),
        ({"start": "2026-01-02", "end": "2026-01-01"}, "expected an end after the start"),
        (
            {"start": "soon"},
            r"invalid time 'soon': use a UTC time \(2026-11-21T14:00\) or a duration before now \(6h\)",
        ),
        ({"start": [1]}, "invalid time"),
        ({"start": "1h", "sampling": 0.0}, "expected sampling as a fraction above 0"),
        (
            {"start": "1h", "time_range": "event"},
            "expected time_range 'Event' or 'Service' or 'TraceId', found 'event'",
        ),
        ({"start": "1h", "trace_format": "otlp"}, "expected trace_format 'XRAY' or 'OTEL', found 'otlp'"),
        ({"start": "1h", "source": "s3"}, "expected source 'xray' or 'logs', found 's3'"),
        ({"start": "1h", "source": "logs"}, "expected start, and trace_ids or service, for source='logs'"),
        ({"start": "1h", "source": "logs", "service": "a", "filter": "ok"}, "which has no groups and filters"),
        ({"trace_ids": trace_id(1), "source": "logs"}, "expected start, and trace_ids or service"),
    ],
)
def test_arguments_that_select_nothing_are_refused_before_any_call(tmp_path, how, expected):
    with pytest.raises(ValueError, match=expected):
        pull_xray(tmp_path / "pulled", **how)
    assert not (tmp_path / "pulled").exists()


# -------------------------------------------------------------------- Transaction Search


def search_on(server):
    server.destination = {"Destination": "CloudWatchLogs", "Status": "ACTIVE"}
    return server


def test_traces_that_are_not_indexed_are_retrieved(serve, tmp_path):
    server = search_on(serve([Trace(1), *(Trace(number, indexed=False) for number in range(2, 8))]))
    pull = pulled(tmp_path / "pulled", [*server.traces, trace_id(9)])
    assert pull.counts == {"returned": 7, "not_found": 1}
    assert server.calls["StartTraceRetrieval"] == 1
    assert {body["TraceFormat"] for body in requests(server, "ListRetrievedTraces")} == {"XRAY"}
    traces = tk.read(pull.folder)
    assert traces.summary["span_count"].tolist() == [4] * 7, "a trace that came over several pages is whole"
    assert set(traces.issues["severity"]) <= {"info"}
    again = pulled(tmp_path / "pulled", [*server.traces, trace_id(9)])
    assert (again.counts, server.calls["StartTraceRetrieval"]) == (pull.counts, 1)


def test_summaries_of_too_few_traces_are_reported(serve, tmp_path):
    server = search_on(serve([Trace(1)]))
    time = {"start": utc(BEGUN), "end": utc(BEGUN + 60)}
    (note,) = pulled(tmp_path / "a", **time).notes
    assert note.startswith("Transaction Search is on: X-Ray lists about 1.5% of all traces, those that it indexes;")
    server.denied = {"GetIndexingRules"}
    (note,) = pulled(tmp_path / "b", **time).notes
    assert "X-Ray lists only the traces that it indexes; service=... with source='logs' finds all traces" in note
    assert pulled(tmp_path / "c", [trace_id(1)]).notes == ()


def test_the_worst_outcome_of_any_page_counts(serve, tmp_path):
    running = document(trace_id(1), 6).replace('"end_time":1760000000.75,', '"in_progress":true,')
    server = search_on(serve([Trace(1, indexed=False, segments=[document(trace_id(1), at) for at in range(3)])]))
    for documents in (
        [running, *server.traces[trace_id(1)].documents],
        [*server.traces[trace_id(1)].documents, running],
    ):
        server.traces[trace_id(1)].documents = documents
        pull = pulled(tmp_path / str(len(documents)), [trace_id(1)])
        assert pull.counts == {"partial": 1}


def test_a_failed_retrieval_is_restarted_and_finally_reported(serve, tmp_path):
    server = search_on(serve([Trace(1, indexed=False)]))
    server.statuses = ["RUNNING", "FAILED"]
    pull = pulled(tmp_path / "pulled", [trace_id(1)], rounds=3)
    assert server.calls["StartTraceRetrieval"] == 3
    assert pull.accounts["reason"].str.contains("expected a retrieval with status COMPLETE, found FAILED").all()
    server.statuses = ["COMPLETE"]
    assert pulled(tmp_path / "pulled", [trace_id(1)]).counts == {"returned": 1}
    assert server.asked[trace_id(1)] == 1, "that X-Ray has not indexed it is known"


def test_ids_without_a_time_need_one(serve, tmp_path):
    odd = Trace(1, 5, indexed=False)
    search_on(serve([odd]))
    pull = pulled(tmp_path / "pulled", [odd.id])
    assert pull.accounts["reason"].tolist() == [
        "its id contains no time, which Transaction Search needs: pass start= and end="
    ]
    assert pulled(tmp_path / "other", [odd.id], start="1970-01-01", end="1970-01-02").counts == {"returned": 1}


def test_a_refused_retrieval_is_a_reason_and_a_forbidden_one_an_error(serve, tmp_path):
    server = search_on(serve([Trace(1, indexed=False)]))
    answer = server.answer

    def strict(operation, body):
        refused = operation == "StartTraceRetrieval"
        return (
            (400, {"__type": "InvalidRequestException", "message": "too old"}) if refused else answer(operation, body)
        )

    server.answer = strict
    pull = pulled(tmp_path / "pulled", [trace_id(1)])
    assert pull.accounts["reason"].tolist() == ["refused: too old"]
    server.answer, server.denied = answer, {"StartTraceRetrieval"}
    with pytest.raises(tk.PullError, match="allow xray:StartTraceRetrieval to these credentials"):
        pulled(tmp_path / "other", [trace_id(1)])


def test_without_permission_to_see_the_destination_nothing_is_retrieved(serve, tmp_path):
    server = search_on(serve([Trace(1, indexed=False)]))
    server.denied = {"GetTraceSegmentDestination"}
    pull = pulled(tmp_path / "pulled", [trace_id(1)])
    assert pull.counts == {"not_found": 1}
    (note,) = pull.notes
    assert note.startswith("not checked whether Transaction Search stores more traces: expected an answer of GetTrace")
    assert "allow xray:GetTraceSegmentDestination" in note


def test_what_was_not_indexed_when_search_was_on_is_not_found_when_it_is_off(serve, tmp_path):
    server = search_on(serve([Trace(1, indexed=False)]))
    server.statuses = ["FAILED"]
    pulled(tmp_path / "pulled", [trace_id(1)], rounds=1)
    server.destination = {"Destination": "XRay", "Status": "ACTIVE"}
    pull = pulled(tmp_path / "pulled", [trace_id(1)])
    assert pull.accounts["reason"].tolist() == ["Transaction Search is no longer enabled"]


# -------------------------------------------------------------------- the log group


def span(number, service, second=BEGUN):
    return {
        "resource": {"attributes": {"service.name": service}},
        "scope": {"name": "x"},
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": "GET /",
        "kind": "SERVER",
        "startTimeUnixNano": second * 10**9 + number,
        "endTimeUnixNano": second * 10**9 + number + 5,
        "attributes": {},
        "status": {"code": "UNSET"},
    }


def test_spans_come_from_the_log_group(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(insights, "BATCH_SIZE", 4)
    server = serve()
    server.spans = [span(number, "web" if number % 2 else "ledger", BEGUN + 60 * number) for number in range(1, 21)]
    time = {"start": utc(BEGUN), "end": utc(BEGUN + 3600)}
    pull = pulled(tmp_path / "pulled", service="web", source="logs", **time)
    assert pull.counts == {"returned": 10}
    traces = tk.read(pull.folder)
    assert traces.trace_ids == [f"{number:032x}" for number in range(1, 21, 2)]
    ids = [f"{number:032x}" for number in (2, 4, 99)]
    by_id = pulled(tmp_path / "other", ids, source="logs", **time)
    assert by_id.accounts["outcome"].tolist() == ["returned", "returned", "not_found"]
    resumed = pulled(tmp_path / "other", ids, source="logs", **time)
    assert resumed.counts == by_id.counts
    assert sorted(tk.read(tmp_path / "other").trace_ids) == ids[:2]


DAYS = {"start": utc(BEGUN), "end": utc(BEGUN + 48 * 3600)}


def many_spans(server, span_bytes):
    """A hundred traces among a thousand over two days, and what a query scans of each."""
    server.spans = [span(number, "web", BEGUN + 1728 * number) for number in range(100)]
    server.spans += [span(1000 + number, "other", BEGUN + 192 * number) for number in range(900)]
    server.span_bytes = span_bytes
    return [f"{number:032x}" for number in range(100)]


def test_the_cost_of_logs_is_estimated_from_a_part_and_reported_from_the_whole(serve, tmp_path):
    """100 traces are 2 looks through 48 hours, which hold 1,000 spans; the hour in the middle holds 22 of them."""
    server = serve()
    ids = many_spans(server, 10**8)
    pull = pulled(tmp_path / "pulled", ids, source="logs", yes=True, **DAYS)
    assert pull.counts == {"returned": 100}
    estimate = pull.estimate
    assert (estimate.trace_count, estimate.call_count, estimate.time_s) == (100, 4, 2.0)
    assert estimate.scanned_bytes == 2 * 48 * 22 * 10**8
    assert estimate.cost_usd == pytest.approx(211.2 * 0.005), "$0.005 a GB"
    assert str(estimate) == "100 traces in 4 queries, about 0.0 minutes, 211.2 GB of logs scanned, about $1.06"
    probe = next(body for operation, body in server.requests if operation == "StartQuery")
    assert probe["endTime"] - probe["startTime"] == 3600 - 1
    assert probe["startTime"] == BEGUN + (48 * 3600 - 3600) // 2
    assert pull.calls["scanned_bytes"] == (2 * 1000 + 22) * 10**8
    assert pull.notes == ("Logs Insights scanned 202.200 GB of aws/spans, about $1.01",)
    again = pulled(tmp_path / "pulled", ids, source="logs", **DAYS)
    assert again.calls.get("StartQuery", 0) == 0, "nothing is left, so nothing is charged"


def test_more_than_a_dollar_needs_a_yes(serve, tmp_path):
    server = serve()
    ids = many_spans(server, 10**8)
    expected = (
        r"expected confirmation of 100 traces in 4 queries, .* 211.2 GB of logs scanned, about \$1.06, found none"
    )
    with pytest.raises(tk.PullError, match=expected) as told:
        pull_xray(tmp_path / "a", ids, source="logs", backoff_s=0.001, **DAYS)
    assert "the ids are kept" not in str(told.value)
    assert server.calls["StartQuery"] == 1, "the part alone"
    server.span_bytes = 2 * 10**8
    with pytest.raises(
        tk.PullError, match=r"expected confirmation of a search for trace ids in 2 queries, .* about \$1.06"
    ):
        pull_xray(tmp_path / "b", service="web", source="logs", backoff_s=0.001, **DAYS)
    assert pull_xray(tmp_path / "c", ids, source="logs", backoff_s=0.001, yes=True, **DAYS).counts == {"returned": 100}


def test_a_cost_that_is_not_returned_is_unknown(serve, tmp_path):
    ids = many_spans(serve(), 0)
    pull = pulled(tmp_path / "pulled", ids, source="logs", **DAYS)
    assert str(pull.estimate) == "100 traces in 4 queries, about 0.0 minutes, unknown cost"
    assert pull.notes == ()


def test_the_end_of_a_time_is_not_in_it(serve, tmp_path):
    server = serve()
    server.spans = [span(1, "web"), span(2, "web", BEGUN + 3600), span(3, "web", BEGUN + 3599)]
    time = {"start": utc(BEGUN), "end": utc(BEGUN + 3600)}
    pull = pulled(tmp_path / "pulled", service="web", source="logs", **time)
    assert pull.accounts.index.tolist() == [f"{1:032x}", f"{3:032x}"]


def test_a_query_that_fills_up_is_halved(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(insights, "_MAX_RESULTS", 3)
    server = serve()
    server.most_results = 3
    server.spans = [span(number, "web", BEGUN + 60 * number) for number in range(1, 11)]
    time = {"start": utc(BEGUN), "end": utc(BEGUN + 3600)}
    assert pulled(tmp_path / "pulled", service="web", source="logs", **time).counts == {"returned": 10}
    server.spans = [span(number, "web") for number in range(1, 11)]
    with pytest.raises(tk.PullError, match="expected fewer than 3 results in the second 2025-10-09 08:53:20"):
        pulled(tmp_path / "other", service="web", source="logs", **time)


def test_a_query_that_fails_and_a_group_that_is_not_there_are_reported(serve, tmp_path):
    server = serve()
    time = {"start": utc(BEGUN), "end": utc(BEGUN + 3600)}
    server.query_statuses = ["Failed"]
    with pytest.raises(tk.PullError, match="expected a query with status Complete, found Failed"):
        pulled(tmp_path / "a", service="web", source="logs", **time)
    server.spans = None
    with pytest.raises(tk.PullError, match="expected the log group aws/spans in eu-west-1, found none"):
        pulled(tmp_path / "b", service="web", source="logs", **time)
    server.denied = {"StartQuery"}
    with pytest.raises(tk.PullError, match="allow logs:StartQuery"):
        pulled(tmp_path / "c", service="web", source="logs", **time)


# -------------------------------------------------------------------- what is kept


def test_a_document_is_kept_to_the_letter(serve, tmp_path):
    odd = document(trace_id(1), 2, note="line\nbreak \u2028 é", precise=1.692293788127201e9)
    serve([Trace(1, segments=[odd])])
    pull = pulled(tmp_path / "pulled", [trace_id(1)])
    with PullFolder(pull.folder) as folder:
        (file,) = folder.files("traces")
    line, status = read_lines(file)
    assert b"tracekitPull" in status
    assert json.loads(line)["Traces"][0]["Segments"][0]["Document"] == odd


# -------------------------------------------------------------------- the ledger


@pytest.mark.parametrize(
    ("how", "is_searched", "expected"),
    [
        ({}, False, ("all", "excluded", "ok")),
        ({"sampling": 0.5}, False, ("fixed_rate", "excluded", "ok")),
        ({"sampling": True}, False, ("unknown", "unknown", "warning")),
        ({}, True, ("unknown", "unknown", "warning")),
    ],
)
def test_windows_are_in_the_ledger(serve, tmp_path, how, is_searched, expected):
    server = serve([Trace(n) for n in range(1, 4)])
    if is_searched:
        search_on(server)
    for _ in range(2):  # the second run finds nothing to do
        pull = pulled(tmp_path / "pulled", start=utc(BEGUN - 10), end=utc(BEGUN + SIX_HOURS + 10), **how)
    parts = json.loads(tk.read(pull.folder).sources["pull"].loc[lambda one: one != ""].iloc[0])
    windows = [part for part in parts if "query" in part]
    assert [(part["selection"], part["truncation"]) for part in windows] == [expected[:2]] * 2
    assert sum(part["trace_count"] for part in windows) == 3
    assert windows[0]["server"] == "xray.eu-west-1.amazonaws.com"
    assert [part["missing_count"] for part in parts if "missing_count" in part] == [0]
    found = tk.sampling(tk.read(pull.folder))
    [one] = [finding for finding in found if finding.check == "pull.truncation"]
    assert one.status == expected[2]


def test_ids_that_were_never_processed_are_in_the_ledger(serve, tmp_path):
    server = serve([Trace(1), Trace(2)])
    server.never = {trace_id(2)}
    pull = pulled(tmp_path / "pulled", [trace_id(1), trace_id(2)])
    [one] = [finding for finding in tk.sampling(tk.read(pull.folder)) if finding.check == "pull.truncation"]
    assert "1 of 2 traces did not arrive" in one.headline
