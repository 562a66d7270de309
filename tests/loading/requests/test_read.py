"""Requests as load balancers, content networks, gateways, functions and metrics saw them."""

import gzip
import json
import time

import numpy as np
import pandas as pd
import pytest

import tracekit as tk
from tracekit.weights.counts import read_counts

ROOT = "Root=1-6a0ebb13-36d228ad5d99923122bbe354"
TRACE = "6a0ebb1336d228ad5d99923122bbe354"


def alb(
    time="2026-11-21T14:00:03.186641Z",
    status="200",
    target="200",
    path="/orders/4711/pay",
    trace=ROOT,
    group="cart",
    came=None,
):
    return (
        f"https {time} app/shop/50dc 10.0.1.7:2817 10.0.0.1:80 0.001 0.048 0.001 {status} {target} 34 366 "
        f'"POST https://shop.example:443{path}?token=1 HTTP/1.1" "curl/8 \\"x\\" y" ECDHE-RSA TLSv1.2 '
        f'arn:aws:elasticloadbalancing:eu-west-1:123:targetgroup/{group}/943f "{trace}" "shop.example" "arn" 0 '
        f'{came or time} "forward" "-" "-" "10.0.0.1:80" "{target}" "-" "-"\n'
    )


def cloudfront(*rows):
    fields = "date time x-edge-location cs-method cs(Host) cs-uri-stem sc-status x-host-header time-taken cs-headers"
    return f"#Version: 1.0\n#Fields: {fields}\n" + "".join("\t".join(row) + "\n" for row in rows)


def read(text, **options):
    return tk.read_requests(text.encode(), **options)


def test_an_alb_entry_is_read_to_its_last_field():
    seen = read(alb(), routes=["/orders/{id}/pay"])
    (row,) = seen.log.to_dict("records")
    assert seen.format == "alb"
    assert row["trace_id"] == TRACE
    assert (row["service"], row["route"], row["method"], row["status"]) == ("cart", "/orders/{id}/pay", "POST", 200)
    assert row["time"] == pd.Timestamp("2026-11-21T14:00:03.186641Z")
    assert row["duration_ns"] == 50_000_000


@pytest.mark.parametrize(
    ("route", "path", "fits"),
    [
        ("/a/*/b/{id}", "/a/x/y/b/7", True),
        ("/a/*/b/{id}", "/a/b/7", False),
        ("/a/*/b/*/c", "/a/1/b/2/b/3/c/", True),
        ("/*/{id}/x", "/a/b/c/x", True),
        ("/*" * 40 + "/x", "/" * 3000, False),
    ],
)
def test_stars_of_a_route_take_any_number_of_parts(route, path, fits):
    began = time.process_time()
    assert (read(alb(path=path), routes=[route]).log["route"].item() == route) is fits
    assert time.process_time() - began < 2


@pytest.mark.parametrize("cut", ["", ' "shop.example"'])
def test_a_request_is_of_the_time_when_it_came_and_not_when_it_was_answered(cut):
    """A trace begins when its request comes: counted by answers, slow requests would be in the next window."""
    entry = alb(time="2026-11-21T14:00:10.050Z", came="2026-11-21T14:00:09.950Z")
    entry = entry.partition(cut)[0] + "\n" if cut else entry
    wanted = "2026-11-21T14:00:10.050Z" if cut else "2026-11-21T14:00:09.950Z"
    assert read(entry).log["time"].tolist() == [pd.Timestamp(wanted)]


def test_counts_add_up_to_the_log_whatever_the_window():
    text = "".join(
        alb(time=f"2026-11-21T14:{at // 60:02d}:{at % 60:02d}.5Z", status=str(200 + 300 * (at % 5 == 0)))
        for at in range(150)
    )
    for window in ("10s", "1min", "1h"):
        seen = read(text, window=window)
        assert seen.counts["count"].sum() == len(seen.log) == 150
        assert seen.counts.loc[seen.counts["status"] == "5xx", "count"].sum() == 30
    assert (seen.counts["end"] - seen.counts["time"] == pd.Timedelta("1h")).all()


def test_what_the_load_balancer_answered_itself_has_no_target_status():
    seen = read(alb() + alb(status="503", target="-", trace="-"))
    assert seen.log["target_status"].isna().tolist() == [False, True]
    assert seen.log["trace_id"].tolist() == [TRACE, None]
    assert seen.log["is_dispatched"].tolist() == [True, True], "it was passed on, and nobody answered"
    assert seen.counts["status"].tolist() == ["2xx", "elb 5xx"]
    refused = read(alb() + alb(status="503", target="-", trace="-").replace("10.0.0.1:80 0.001", "- -1"))
    assert refused.log["is_dispatched"].tolist() == [True, False]
    none = read(alb(status="503", target="-"))
    assert none.counts["status"].tolist() == ["elb 5xx"]


def test_paths_without_templates_are_not_distinguished_and_unmatched_ones_are_other():
    assert "route" not in read(alb()).log
    seen = read(alb() + alb(path="/private/jo@example.org"), routes=["/orders/*"])
    assert seen.log["route"].tolist() == ["/orders/*", "other"]
    assert "jo@example.org" not in seen.counts.to_string()
    assert "jo@example.org" not in seen.log.to_string()


def test_compressed_folders_are_read_in_one(tmp_path):
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(alb().encode()))
    (tmp_path / "b.log").write_text(alb(group="ledger"))
    seen = tk.read_requests(tmp_path)
    assert seen.log["service"].tolist() == ["cart", "ledger"]


def test_services_are_called_as_in_the_traces():
    assert read(alb(), services={"cart": "shop-cart"}).log["service"].tolist() == ["shop-cart"]
    assert read(alb(), services="web").counts["service"].tolist() == ["web"]
    with pytest.raises(ValueError, match="expected a column service to rename, found count"):
        tk.read_requests(pd.DataFrame({"count": [1]}), services={"a": "b"})


def test_a_cut_line_is_an_issue_that_names_it_and_an_error_when_strict():
    text = alb() + alb()[:60] + "\n"
    seen = read(text)
    assert len(seen.log) == 1
    assert seen.issues[["line", "message"]].to_numpy().tolist() == [
        [2, "expected an ALB entry with 18 fields or more, found 4"]
    ]
    assert "1 issues" in repr(seen)
    with pytest.raises(tk.LoadError, match=r"line 2: expected an ALB entry"):
        read(text, strict=True)


def test_cloudfront_with_and_without_the_header():
    plain = ("2026-11-21", "14:00:03", "FRA56", "GET", "d1.cloudfront.net", "/a", "200", "shop.example", "0.012", "-")
    traced = (*plain[:-1], f"host:shop.example%0AX-Amzn-Trace-Id:{ROOT.replace('=', '%3D')}%0A")
    seen = read(cloudfront(plain, traced))
    assert seen.format == "cloudfront"
    assert seen.log["trace_id"].tolist() == [None, TRACE]
    assert seen.log["service"].tolist() == ["shop.example"] * 2
    assert seen.log["duration_ns"].tolist() == [12_000_000] * 2
    assert seen.counts["time"].tolist() == [pd.Timestamp("2026-11-21T14:00Z")]


def test_cloudfront_real_time_stamps_and_short_lines():
    text = "#Fields: timestamp cs-host sc-status\n1795269603.5\tshop\t404\n1795269604\tshop\n"
    seen = read(text)
    assert seen.log["time"].tolist() == [pd.Timestamp(1795269603.5, unit="s", tz="UTC")]
    assert seen.counts["status"].tolist() == ["4xx"]
    assert seen.issues["line"].tolist() == [3]


def test_api_gateway_in_both_its_times():
    first = {"requestTimeEpoch": "1795269603500", "httpMethod": "GET", "resourcePath": "/pets/{id}", "status": "500"}
    second = {"requestTime": "21/Nov/2026:14:00:03 +0100", "routeKey": "POST /pay", "status": 201, "apiId": "x1"}
    lines = [first | {"xrayTraceId": ROOT[5:], "responseLatency": "12"}, second, {"requestTime": "soon"}]
    seen = read("\n".join(map(json.dumps, lines)) + "\nno json\n", routes=["/pets/*", "/pay"])
    assert seen.format == "api-gateway"
    assert seen.log["trace_id"].tolist() == [TRACE, None]
    assert seen.log["status"].tolist() == [500, 201]
    assert seen.log["method"].tolist() == ["GET", "POST"]
    assert seen.log["time"].iloc[1] == pd.Timestamp("2026-11-21T13:00:03Z")
    assert seen.issues["line"].tolist() == [3, 4]


REPORT = (
    "REPORT RequestId: 3604209a-e9a3\tDuration: 12.34 ms\tBilled Duration: 100 ms\tMemory Size: 128 MB\t"
    "Max Memory Used: 18 MB\tInit Duration: 123.00 ms\t\n"
    f"XRAY TraceId: {ROOT[5:]}\tSegmentId: 3152dbae0b9d2f4b\tSampled: true\n"
)


def test_report_lines_have_cold_starts_traces_and_times():
    warm = "2026-11-21T14:00:03.100Z REPORT RequestId: 77aa-1\tDuration: 3.00 ms\tBilled Duration: 4 ms\n"
    last = "REPORT RequestId: 9\tDuration: 1.0 ms\n"
    seen = read("START RequestId: 3604209a\n" + REPORT + warm + "END\n" + last, services="pay-fn")
    assert seen.format == "lambda"
    assert seen.log["is_cold_start"].tolist() == [True, False, False]
    assert seen.log["trace_id"].tolist() == [TRACE, None, None]
    assert seen.log["init_duration_ns"].iloc[0] == 123_000_000
    assert seen.log["duration_ns"].tolist() == [12_340_000, 3_000_000, 1_000_000]
    assert seen.log["time"].iloc[0] == pd.Timestamp(int("6a0ebb13", 16), unit="s", tz="UTC")
    assert seen.issues["line"].tolist() == [6]
    assert seen.counts.to_dict("list") == {"service": ["pay-fn"], "count": [3]}


def test_report_records_in_json():
    record = {
        "requestId": "r1",
        "metrics": {"durationMs": 5.5, "initDurationMs": 200.0},
        "tracing": {"value": f"{ROOT};Parent=1;Sampled=1"},
    }
    lines = [json.dumps({"time": "2026-11-21T14:00:00Z", "type": "platform.report", "record": record})]
    lines.append(json.dumps({"time": "2026-11-21T14:00:01Z", "type": "platform.report", "record": {"metrics": {}}}))
    seen = read("\n".join(lines))
    assert seen.log["is_cold_start"].tolist() == [True, False]
    assert seen.log["is_sampled"].tolist()[0]
    assert seen.log["trace_id"].tolist() == [TRACE, None]


def series(label, *values, **more):
    times = [f"2026-11-21T14:{at:02d}:00Z" for at in range(len(values))]
    return {"Id": "m", "Label": label, "Timestamps": times, "Values": list(values), "StatusCode": "Complete"} | more


def test_classes_of_metrics_are_parts_of_the_whole():
    told = [
        series("RequestCount", 100, 50),
        series("HTTPCode_Target_5XX_Count", 10, 0),
        series("HTTPCode_ELB_5XX_Count", 7, 0),
        series("HTTPCode_ELB_502_Count", 3, 0),
    ]
    seen = read(json.dumps({"MetricDataResults": told}))
    assert seen.format == "metrics"
    assert seen.log is None
    assert seen.counts.groupby("status")["count"].sum().to_dict() == {"2xx": 140, "5xx": 10, "elb 5xx": 7}
    assert "found 'HTTPCode_ELB_502_Count': skipped" in seen.issues["message"].iloc[0]
    reached = read_counts(seen.counts)
    assert (reached.total, reached.balancer_errors) == (150, 7)
    assert "7 requests answered by the load balancer itself are excluded" in reached.notes
    only = read(json.dumps({"MetricDataResults": [told[0], told[2]]})).counts
    assert only.groupby("status", dropna=False)["count"].sum().tolist() == [7, 150]
    assert (read_counts(only).dimensions, read_counts(only).total) == ((), 150)


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ([series("pay Invocations", 9), series("pay Errors", 2)], {"2xx": 7.0, "5xx": 2.0}),
        ([series("Count", 9), series("4XXError", 3), series("5XXError", 1)], {"2xx": 5.0, "4xx": 3.0, "5xx": 1.0}),
        ([series("RequestCount", 9), series("HTTPCode_Target_2XX_Count", 8)], {"2xx": 8.0, "other": 1.0}),
    ],
)
def test_metrics_of_functions_and_gateways(told, wanted):
    seen = read(json.dumps([{"MetricDataResults": told}]))
    assert dict(zip(seen.counts["status"], seen.counts["count"], strict=True)) == wanted


def test_metrics_without_classes_and_strange_series():
    told = [
        series("cart RequestCount", 9),
        series("CPUUtilization", 4),
        series("Requests", 1, StatusCode="InternalError"),
    ]
    seen = read(json.dumps({"MetricDataResults": [*told, series("ledger RequestCount", 5, StatusCode="PartialData")]}))
    assert seen.counts.groupby("service")["count"].sum().to_dict() == {"": 1.0, "cart": 9.0, "ledger": 5.0}
    assert seen.issues["line"].tolist() == [2, 3, 4]


def test_more_of_a_class_than_in_all_is_refused_with_its_time():
    told = [series("cart RequestCount", 9), series("cart HTTPCode_Target_5XX_Count", 12)]
    with pytest.raises(ValueError, match=r"3 more at 2026-11-21T14:00:00Z for cart"):
        read(json.dumps({"MetricDataResults": told}))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_tables_of_counts_in_any_separator(separator):
    text = "Time,Service,Route,Status,Count\n2026-11-21T14:00Z,cart,/pay,200,600\n2026-11-21T14:00Z,cart,/pay,500,40\n"
    seen = read(text.replace(",", separator))
    assert seen.format == "csv"
    assert seen.counts["count"].sum() == 640


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("2026-11-21T14:00Z,-5", r"expected a count of 0 or more in row 2, found '?-5"),
        ("2026-11-21T14:00Z,many", r"in row 2, found 'many'"),
        ("later,5", r"expected a time in row 2, found 'later'"),
        ("2026-11-21T14:00Z,5\n2026-11-21T14:01,5", r"all have a time zone, found '2026-11-21T14:01' in row 3"),
        ("2026-11-21T14:00Z,5\n2026-11-21T14:00Z,5", r"rows 2 and 3"),
    ],
)
def test_counts_that_cannot_be_name_their_line(rows, message):
    with pytest.raises(ValueError, match=message):
        read(f"time,count\n{rows}\n")


def test_a_frame_of_requests_is_a_log():
    frame = pd.DataFrame(
        {
            "trace_id": ["1-6a0ebb13-36d228ad5d99923122bbe354", None],
            "status": [200, np.nan],
            "time": [1.795e18, 1.796e18],
        }
    )
    seen = tk.read_requests(frame)
    assert seen.log["trace_id"].tolist() == [TRACE, None]
    assert seen.counts["count"].sum() == 2
    assert "<table" in seen._repr_html_()


@pytest.mark.parametrize(
    ("source", "options", "error", "message"),
    [
        (b"hello world", {}, tk.LoadError, "expected requests in one of alb, cloudfront"),
        (b"hello world", {"format": "nginx"}, ValueError, "expected format alb"),
        (
            b"time,count\n",
            {"count_by": ["host"]},
            ValueError,
            "expected count_by to be any of service, route, method, status, found host",
        ),
        (b"time,count\n", {"window": "0s"}, ValueError, "expected a positive window such as '1min'"),
        (b"no entry\n", {"format": "alb"}, tk.LoadError, "expected requests as alb, found none"),
        (b'{"MetricDataResults": 5}', {}, tk.LoadError, "expected requests as metrics, found none that could be read"),
        (b"a,b\n1,2\n", {}, tk.LoadError, "expected a column count, or one row a request"),
        (b"trace_id,time\nab,never\n", {}, ValueError, "expected a time in row 2, found 'never'"),
    ],
)
def test_what_is_none_is_refused(source, options, error, message):
    with pytest.raises(error, match=message):
        tk.read_requests(source, **options)


def test_a_source_cut_short_is_reported():
    data = gzip.compress((alb() * 400).encode())
    seen = tk.read_requests(data[: len(data) // 2])
    assert "ends early" in seen.issues["message"].iloc[0]


def test_a_log_joins_its_traces_by_id_and_by_stratum():
    """Sixty requests, of which every third left a trace: the log tells exactly which, the counts how many."""
    ids = [f"{1_795_000_000 + at:08x}{at * 7919:024x}" for at in range(60)]
    start = 1_795_000_000 * 10**9 + np.arange(60) * 10**9
    lines = [
        alb(
            time=pd.Timestamp(int(at), unit="ns").isoformat() + "Z",
            status="500" if number % 10 == 0 else "200",
            trace=f"Root=1-{one[:8]}-{one[8:]}",
            path="/pay",
        )
        for number, (one, at) in enumerate(zip(ids, start, strict=True))
    ]
    seen = read("".join(lines), routes=["/pay"])
    frame = pd.DataFrame(
        {"trace_id": ids, "span_id": "1", "service_name": "cart", "name": "POST /pay", "kind": "SERVER"}
    )
    frame = frame.assign(
        start_ns=start, end_ns=start + 10**6, status_code=np.where(np.arange(60) % 10 == 0, "ERROR", "OK")
    )
    frame["attributes.http.route"] = "/pay"
    traces = tk.TraceSet.from_spans(frame.iloc[::3])
    covered = tk.coverage(traces, requests=seen.counts, log=seen.log).metrics
    whole = covered[covered["service_name"].isna()].set_index("metric")["value"]
    assert whole["M1"] == pytest.approx(20 / 60)
    assert whole["M2b"] == pytest.approx(2 / 6)
    joined = tk.quality(traces, requests=seen.counts, checks=["counts.join"])
    assert joined[0].headline == "20 traces of 60 counted requests."


# -------------------------------------------------------------------- odd records


def report(**metrics):
    record = {"requestId": "a", "metrics": {"durationMs": 5} | metrics}
    return json.dumps({"time": "2026-11-21T14:00:01.5Z", "type": "platform.report", "record": record}) + "\n"


GATEWAY = {"requestTimeEpoch": 1795269600000, "requestTime": "x", "apiId": "pets", "status": "200"}
ODD_LINES = {
    "lambda": (
        report(),
        [
            report(durationMs={}),
            report(durationMs=float("inf")),
            report(durationMs=float("nan")),
            report(durationMs=-1),
            report(initDurationMs=[1]),
            report(initDurationMs=10**400),
            report(durationMs=1e300),
            '{"type": "platform.report", "record": [1]}\n',
            '{"type": "platform.report", "record": {"metrics": 5}}\n',
            '{"type": "platform.report", "record": {"tracing": 5}}\n',
            '{"type": "platform.report", "record": ' + "[" * 50_000 + "\n",
            "2026-11-21T14:00:01Z REPORT RequestId: b Duration: " + "9" * 400 + " ms\n",
            report().replace("2026-11-21T14", "2026-11-91T14"),
        ],
    ),
    "alb": (
        alb(),
        [
            alb().replace("https://shop.example:443", "https://[shop"),
            alb(time="2026-99-21T14:00:03Z"),
            alb().replace(" 0.048 ", " " + "9" * 400 + " "),
            "https x\n",
        ],
    ),
    "api-gateway": (
        json.dumps(GATEWAY) + "\n",
        [
            json.dumps(GATEWAY | {"requestTimeEpoch": "9" * 400}) + "\n",
            json.dumps(GATEWAY | {"responseLatency": 1e300}) + "\n",
            json.dumps(GATEWAY | {"requestTimeEpoch": None}) + "\n",
            '{"requestTimeEpoch": ' + "[" * 50_000 + "\n",
            "5\n",
        ],
    ),
    "cloudfront": (
        cloudfront(["2026-11-21", "14:00:01", "F", "GET", "d1", "/pay", "200", "shop", "0.2", "-"]),
        [
            cloudfront(["2026-11-21", "14:00:01", "F", "GET", "d1", "/pay", "200", "shop", "9" * 400, "-"]),
            cloudfront(["2026-11-21", "noon", "F", "GET", "d1", "/pay", "200", "shop", "0.2", "-"]),
            "too few\n",
        ],
    ),
}


@pytest.mark.parametrize(("kind", "odd"), [(kind, odd) for kind, (_, lines) in ODD_LINES.items() for odd in lines])
def test_one_odd_line_is_an_issue_and_the_rest_is_read(kind, odd):
    good = ODD_LINES[kind][0]
    seen = read(good + odd + good, format=kind)
    assert len(seen.log) == seen.counts["count"].sum() == 2
    (issue,) = seen.issues.to_dict("records")
    assert odd.splitlines()[-1] == (good + odd + good).splitlines()[issue["line"] - 1], "the line is named"
    assert len(issue["message"]) <= 200
    with pytest.raises(tk.LoadError, match=f"line {issue['line']}: "):
        read(good + odd + good, format=kind, strict=True)
    with pytest.raises(tk.LoadError, match="found none that could be read"):
        read(odd, format=kind)


@pytest.mark.parametrize(
    "odd",
    [
        "x",
        5,
        {"Label": "Count"},
        {"Label": "Count", "Timestamps": ["2026-11-21T14:00:00Z"], "Values": []},
        {"Label": "Count", "Timestamps": ["soon"], "Values": [1]},
        {"Label": "Count", "Timestamps": [5], "Values": [1]},
        {"Label": "Count", "Timestamps": ["2026-11-21T14:00:00Z"], "Values": ["many"]},
        {"Label": "Count", "Timestamps": ["2026-11-21T14:00:00Z"], "Values": [-1]},
        {"Label": "Count", "Timestamps": ["2026-11-21T14:00:00Z"], "Values": [float("inf")]},
        {"Label": "Count", "Timestamps": 5, "Values": 5, "StatusCode": ["x"]},
    ],
)
def test_one_odd_series_is_an_issue_and_the_rest_is_read(odd):
    good = {"Id": "a", "Label": "RequestCount", "Timestamps": ["2026-11-21T14:00:00Z"], "Values": [640]}
    seen = read(json.dumps({"MetricDataResults": [good, odd]}))
    assert seen.counts["count"].tolist() == [640]
    assert seen.issues["line"].unique().tolist() == [2]
    assert "expected a series with Label, Timestamps and Values" in seen.issues["message"].iloc[-1]
    with pytest.raises(tk.LoadError, match="found none that could be read"):
        read(json.dumps({"MetricDataResults": [odd]}))
    assert read(json.dumps([{"MetricDataResults": [good]}, 5])).counts["count"].tolist() == [640]
