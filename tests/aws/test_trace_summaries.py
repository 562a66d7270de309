"""Trace summaries as a table, and the weights that follow from how they were pulled."""

import json

import pandas as pd
import pytest
from fake_xray import BEGUN, Trace, trace_id

import tracekit as tk
from tracekit.aws.pull.xray import pull_xray
from tracekit.aws.trace_summaries import COLUMNS, trace_summaries


def utc(second):
    return pd.Timestamp(second, unit="s").isoformat()


TIME = {"start": utc(BEGUN), "end": utc(BEGUN + 600), "backoff_s": 0.0}


def test_the_fields_of_a_trace_summary(serve, tmp_path):
    serve([Trace(1, BEGUN + 5), Trace(2, BEGUN + 7)])
    pull = pull_xray(tmp_path / "pulled", **TIME)
    table = trace_summaries(pull)
    assert list(table.columns) == list(COLUMNS)
    assert table.index.tolist() == sorted(pull.accounts.index)
    row = table.iloc[0]
    assert row["xray_id"] == trace_id(1, BEGUN + 5)
    assert row["start_time"] == pd.Timestamp(BEGUN + 5, unit="s", tz="UTC")
    assert (row["duration_ns"], row["response_time_ns"]) == (500_000_000, 400_000_000)
    assert (row["is_fault"], row["is_error"], row["is_throttle"], row["is_partial"]) == (False, True, False, False)
    assert (row["http_request_method"], row["url_full"], row["http_response_status_code"]) == (
        "GET",
        "http://shop/",
        404,
    )
    assert (row["root_service_name"], row["root_service_type"]) == ("web", "AWS::EC2::Instance")
    assert json.loads(row["services"]) == ["web"]
    assert json.loads(row["users"]) == ["anna"]
    assert json.loads(row["annotations"]) == {"tenant": ["blue"]}
    assert json.loads(row["fault_root_causes"])[0]["Services"][0]["Name"] == "web"
    assert row["revision"] == 2
    missing = table[["error_root_causes", "response_time_root_causes", "matched_event_time", "user_agent"]]
    assert missing.isna().all(axis=None)
    pd.testing.assert_frame_equal(trace_summaries(pull.folder), table)


def test_it_joins_the_traces_and_answers_root_causes(serve, tmp_path):
    serve([Trace(1), Trace(2)])
    pull = pull_xray(tmp_path / "pulled", **TIME)
    traces, table = tk.read(pull.folder), trace_summaries(pull)
    assert traces.summary.join(table.add_prefix("xray_"))["xray_is_error"].all()
    assert len(traces.where(tk.xray_filter(traces, "rootcause.fault.service { name = web }", summaries=table))) == 2
    assert len(traces.where(tk.xray_filter(traces, "rootcause.error.service", summaries=table))) == 0


@pytest.mark.parametrize(
    ("sampling", "weight", "source"),
    [
        (0.25, 4.0, "pulled at a fixed rate of 0.25"),
        (1, 1.0, "pulled at a fixed rate of 1"),
        (True, 1.0, "unknown"),
        (False, 1.0, "pulled without sampling"),
    ],
)
def test_a_sampled_pull_has_the_weight_of_each_trace(serve, tmp_path, sampling, weight, source):
    serve([Trace(1), Trace(2)])
    pull = pull_xray(tmp_path / "pulled", sampling=sampling, **TIME)
    table = trace_summaries(pull)
    assert table["weight"].tolist() == [weight] * 2
    assert table["weight_source"].tolist() == [source] * 2
    weighted = tk.read(pull.folder).with_weights(table["weight"])
    assert weighted.summary["weight"].sum() == 2 * weight


def test_the_latest_revision_of_each_trace_counts(tmp_path):
    one = {"Id": trace_id(1), "Revision": 1, "Duration": 0.1}
    two = {"Id": trace_id(1), "Revision": 3, "Duration": 0.3, "StartTime": "2026-01-01T02:00:00+02:00"}
    other = {"Id": trace_id(2), "StartTime": "2026-01-01T00:00:00", "MatchedEventTime": 1.5}
    file = tmp_path / "summaries.json"
    pages = [{"TraceSummaries": [two, other]}, {"TraceSummaries": [one, {"no": "id"}], "NextToken": "x"}]
    file.write_text("\n".join(json.dumps(page, indent=1) for page in pages) + "\n\n")
    table = trace_summaries(file)
    assert table["revision"].iloc[0] == 3
    assert table["duration_ns"].iloc[0] == 300_000_000
    assert (table["start_time"] == pd.Timestamp("2026-01-01", tz="UTC")).all()
    assert table["matched_event_time"].iloc[1] == pd.Timestamp(1_500_000_000, tz="UTC")
    assert set(table["weight_source"]) == {"unknown"}


def test_missing_summaries_are_reported(serve, tmp_path):
    serve([Trace(1)])
    pull = pull_xray(tmp_path / "pulled", [trace_id(1)], backoff_s=0.0)
    with pytest.raises(tk.LoadError, match=r"expected trace summaries in .*pulled, found none: it was pulled by ids"):
        trace_summaries(pull)
    with pytest.raises(tk.LoadError, match=r"expected trace summaries in .*, found none"):
        trace_summaries(tmp_path)
    with pytest.raises(tk.LoadError, match=r"expected a file or a folder, found .*nothing: No such file"):
        trace_summaries(tmp_path / "nothing")
    (tmp_path / "text").write_text("{} oops")
    with pytest.raises(tk.LoadError, match=r"expected JSON in .*text, found ' oops'"):
        trace_summaries(tmp_path / "text")
    (tmp_path / "list").write_text("[1]")
    with pytest.raises(
        tk.LoadError, match=r"expected answers of GetTraceSummaries \(TraceSummaries\) in .*list, found none"
    ):
        trace_summaries(tmp_path / "list")


@pytest.mark.parametrize(
    "odd",
    [5, None, {}, {"Id": None}, {"Revision": "x"}, {"Http": 5}, {"Http": {"HttpStatus": "x"}}, {"ServiceIds": True}],
)
def test_an_odd_summary_is_left_out_and_listed(tmp_path, odd):
    good = {"Id": "1-58406520-a006649127e371903a2de979", "Duration": 0.25}
    other = {**good, "Id": "1-58406521-a006649127e371903a2de979", **odd} if isinstance(odd, dict) and odd else odd
    (tmp_path / "s.json").write_text(json.dumps({"TraceSummaries": [good, other]}), encoding="utf-8")
    table = tk.trace_summaries(tmp_path / "s.json")
    assert table["duration_ns"].tolist() == [250_000_000]
    (problem,) = table.attrs["quarantined"]
    assert problem.startswith("summary ")
    (tmp_path / "s.json").write_text(json.dumps({"TraceSummaries": [other]}), encoding="utf-8")
    with pytest.raises(tk.LoadError, match=r"that is valid; summary "):
        tk.trace_summaries(tmp_path / "s.json")
