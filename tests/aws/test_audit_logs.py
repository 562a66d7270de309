"""Logs of collectors and X-Ray daemons: lost spans in them are evidence, and their silence proves nothing."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from audit_cases import WORLDS, App, World, answers_of, logged
from typer.testing import CliRunner

import tracekit as tk
from tracekit.aws.audit import folder as audit_folder
from tracekit.aws.audit.coverage import audit_answers
from tracekit.aws.audit.logs import FILTER, log_content, read_logs, span_loss
from tracekit.aws.reader import DENIED, Reader
from tracekit.cli import app

FULL = (
    "2025-11-20T10:00:00.000Z\terror\texporterhelper/queue_sender.go:184\tDropping data because sending_queue is full."
    ' Try increasing queue_size.\t{"kind": "exporter", "data_type": "traces", "name": "awsxray", "dropped_items": 100}'
)
HOT = '{"level":"warn","ts":1763632800.5,"msg":"Memory usage is above soft limit. Refusing data.","cur_mem_mib":99}'
SLOW = (
    "2025-11-20T10:00:01Z\tinfo\tinternal/retry_sender.go:126\tExporting failed. Will retry the request after interval."
    '\t{"otelcol.signal": "traces", "error": "ThrottlingException: Rate exceeded", "interval": "5s"}'
)
DENIED_LINE = "2025-11-20T10:00:02Z [Error] Sending segment batch failed with: AccessDeniedException: not authorized"
SPILT = "2025-11-20T10:00:03Z [Warn] Segment dropped. Consider increasing memory limit"
SPENT = (
    '2025-11-20T10:00:04Z\terror\tqueue_sender.go:103\tExporting failed. Dropping data.\t{"error": "no more retries'
    ' left: context deadline exceeded", "dropped_items": 26}'
)
HARMLESS = (
    "2025-11-20T10:00:00Z [Info] Successfully sent batch of 1 segments (0.058 seconds)",
    "2025-11-20T10:00:00Z\tinfo\tservice/service.go:1\tEverything is ready. Begin running and processing data.",
    '2025-11-20T10:00:00Z\terror\tDropping data because sending_queue is full.\t{"data_type": "metrics"}',
    '2025-11-20T10:00:00Z\terror\tExporting failed. Dropping data.\t{"otelcol.signal": "logs", "dropped_items": 9}',
    '2025-11-20T10:00:00Z\tinfo\tExporting failed. Will retry the request after interval.\t{"error": "EOF"}',
    '{"level":"info","ts":1763632800.5,"msg":"telemetry","dropped_spans":0,"refused_spans":0}',
    "2025-11-20T10:00:00Z [Info] Sent batch of 50 segments but had 0 Unprocessed segments",
)


@pytest.mark.parametrize(
    ("line", "kind", "at", "spans"),
    [
        (FULL, "queue full", 1_763_632_800, 100),
        (HOT, "refused", 1_763_632_800.5, 0),
        (SLOW, "throttled", 1_763_632_801, 0),
        (DENIED_LINE, "denied", 1_763_632_802, 0),
        (SPILT, "dropped", 1_763_632_803, 0),
        (SPENT, "dropped", 1_763_632_804, 26),
        ("[Info] Sent batch of 50 segments but had 3 Unprocessed segments", "dropped", None, 3),
        ("2025-11-20T11:00:00+01:00 refused_spans: 7", "refused", 1_763_632_800, 0),
        ("2025-11-20 Exporter failed: HTTP Status Code 429, dropped_spans=5", "throttled", None, 5),
    ],
)
def test_a_line_of_trouble_is_known_by_its_cause(line, kind, at, spans):
    assert span_loss(line) == (kind, at, spans)


@pytest.mark.parametrize("line", HARMLESS)
def test_a_line_that_loses_no_span_is_none(line):
    assert span_loss(line) is None


def written(folder, name, text):
    file = folder / name
    file.write_text(text)
    return file


def test_every_way_in_which_a_log_is_printed_is_read(tmp_path):
    stamp = 1_763_632_800_000
    events = {"events": [{"timestamp": stamp, "message": SPILT, "logStreamName": "x"}, {"message": HARMLESS[0]}]}
    cells = [[{"field": "@timestamp", "value": "2025-11-20T10:00:00Z"}, {"field": "@message", "value": SPILT}]]
    expected = [{"timestamp": stamp, "message": SPILT}]
    for number, text in enumerate((json.dumps(events), json.dumps(events, indent=4))):
        (answer,) = read_logs([written(tmp_path, f"collector-{number}.log", text)])
        assert (answer.content, answer.request) == (
            {"line_count": 2, "events": expected},
            {"collector": str(number)},
        )
    for text in (json.dumps({"results": cells}), json.dumps({"results": cells}, indent=1)):
        assert read_logs([written(tmp_path, "collector.log", text)])[0].content["events"] == expected
    docker = json.dumps({"log": SPILT + "\n", "time": "2025-11-20T10:00:00Z"})
    (answer,) = read_logs([written(tmp_path, "adot.log", f"{docker}\n\n{HARMLESS[1]}\n")])
    assert answer.content["line_count"] == 2
    assert answer.content["events"][0]["timestamp"] == stamp + 3000, "as the collector itself says"
    assert answer.request == {"collector": "adot"}
    (answer,) = read_logs([written(tmp_path, "collector.log", "{\n  broken, but Segment dropped\n}\n")])
    assert len(answer.content["events"]) == 1


def test_secrets_are_hidden_and_a_flood_is_counted():
    kept = log_content([(f"{SPILT} Authorization: Bearer-abc password=hunter2, ok", None)] * 1_500)
    assert len(kept["events"]) == 1_000
    assert kept["more"] == {"dropped": 500}
    assert kept["line_count"] == 1_500
    assert "hunter2" not in json.dumps(kept)
    assert "Bearer-abc" not in json.dumps(kept)


@pytest.mark.parametrize(
    ("days", "observed", "note"),
    [
        (
            [-300] * 1_500 + [0] * 300,
            "queue full: 300 lines, 30,000 spans",
            "1,500 lines outside the period, not counted",
        ),
        ([0] * 1_500, "queue full: 1,500 lines, 100,000 spans", ""),
        (
            [0] * 300 + [300] * 1_500,
            "not checked",
            (
                "1,000 lines outside the period, not counted;"
                " 800 lines before those were not kept; pass a log of that time"
            ),
        ),
    ],
)
def test_a_burst_at_another_time_hides_no_gap(tmp_path, days, observed, note):
    answers = answers_of(World((App("a"),)))
    begun = datetime.fromtimestamp(answers.end - 7200, UTC)
    text = "".join(FULL.replace(FULL[:19], f"{begun + timedelta(days=day):%Y-%m-%dT%H:%M:%S}") + "\n" for day in days)
    audit = audit_answers(answers.including(read_logs([written(tmp_path, "collector-a.log", text)])))
    row = facts(audit, "a").loc["collector_log"]
    assert (row["observed"], row["note"]) == (observed, note)
    assert (audit.services.loc["a", "diagnosis_code"] == "D2b") == observed.startswith("queue full")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, r"expected a collector log, .* found no file .*collector-a\.log: No such file"),
        ("", "an empty file .*; save it again"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, text, expected):
    file = tmp_path / "collector-a.log"
    if text is not None:
        file.write_text(text)
    with pytest.raises(tk.LoadError, match=expected):
        tk.audit_coverage(from_folder="audit-shop", logs=file)


# -------------------------------------------------------------------- what follows


def facts(audit, service):
    return audit.evidence[audit.evidence["service"] == service].drop_duplicates("fact").set_index("fact")


def finding(audit, code):
    return next(one for one in audit.findings if one.check == f"coverage.{code}")


def test_lost_spans_in_a_saved_log_make_a_collector_unhealthy(tmp_path):
    audit_folder.save(answers_of(WORLDS["OK"]), tmp_path / "saved")
    written(tmp_path / "saved", "collector-a.log", "\n".join([FULL, FULL, HOT, *HARMLESS, "[Warn] Segment dropped"]))
    audit = tk.audit_coverage(from_folder=tmp_path / "saved")
    assert audit.services.loc["a", "diagnosis_code"] == "D2b"
    told = finding(audit, "D2b")
    assert told.headline.startswith(
        "a: collector public.ecr.aws/aws-observability/aws-otel-collector:v0.43.3 logged lost spans"
        " (queue full: 2 lines, 200 spans; refused: 1 line; dropped: 1 line); 33,503 of about"
    ), told.headline
    row = facts(audit, "a").loc["collector_losses"]
    assert (row["status"], row["step"], row["source_call"]) == ("fail", 7, "collector:log")
    assert "sending_queue is full" in row["answer"]
    assert row["note"] == "1 line without a time, counted"
    assert audit.alarms["TraceCoverageIncomplete"] == ["a"]


def test_health_and_log_are_reported_together(tmp_path):
    audit_folder.save(answers_of(WORLDS["D2b"]), tmp_path / "saved")
    log = written(tmp_path, "collector.log", FULL)
    audit = tk.audit_coverage(from_folder=tmp_path / "saved", logs=[log])
    assert "is UNHEALTHY (3 restarts, last reason" in finding(audit, "D2b").headline
    assert ") and logged lost spans (queue full: 1 line, 100 spans); " in finding(audit, "D2b").headline
    assert "logs=[" in finding(audit, "D2b").code, "the call that gives it again has the log"


@pytest.mark.parametrize("name", sorted(WORLDS))
def test_a_log_without_trouble_changes_no_verdict(tmp_path, name):
    """Not of any service: what is unknown stays unknown, and what failed stays failed."""
    answers = answers_of(WORLDS[name])
    log = read_logs([written(tmp_path, "collector.log", "\n".join(HARMLESS))])
    before, after = audit_answers(answers), audit_answers(answers.including(log))
    assert after.services["diagnoses"].to_dict() == before.services["diagnoses"].to_dict()
    assert [str(one) for one in after.findings] == [str(one) for one in before.findings]


def test_lines_of_another_time_are_not_of_this_audit(tmp_path):
    answers = answers_of(WORLDS["OK"])
    old = FULL.replace("2025-11-20", "2025-10-01")
    audit = audit_answers(answers.including(read_logs([written(tmp_path, "collector-a.log", f"{old}\n{old}")])))
    assert audit.services.loc["a", "diagnosis_code"] == "OK"
    row = facts(audit, "a").loc["collector_log"]
    assert row["observed"] == "2 lines, none about lost spans"
    assert row["note"] == "2 lines outside the period, not counted"


def test_a_log_of_no_collector_is_reported(tmp_path):
    log = written(tmp_path, "collector-cartt.log", FULL)
    audit = tk.audit_coverage(from_folder="audit-shop", logs=log)
    told = finding(audit, "not_used")
    expected = "not used: log 'cartt' matches no known collector, service or task."
    assert (told.severity, told.headline) == ("notice", expected)
    assert "checkout, gift-cards" in told.remedy
    assert (
        audit.services["diagnosis_code"].to_dict()
        == tk.audit_coverage(from_folder="audit-shop").services["diagnosis_code"].to_dict()
    )


@pytest.mark.parametrize(
    ("name", "ill"),
    [
        ("collector-a", "a"),
        ("collector-b", "b"),
        ("collector", "abp"),
        ("collector-p", "p"),
        ("collector-collector", "abp"),
    ],
)
def test_a_log_belongs_to_the_collector_in_its_name(tmp_path, name, ill):
    answers = answers_of(World((App("a"), App("b"), App("p", "pod"))))
    audit = audit_answers(answers.including(read_logs([written(tmp_path, f"{name}.log", FULL)])))
    found = audit.services["diagnosis_code"]
    assert set(found[found == "D2b"].index) == set(ill)
    assert {one.check for one in audit.findings}.isdisjoint({"coverage.not_used"})


def test_cloudwatch_is_queried_for_the_logs_of_collectors(account):
    answers = logged(answers_of(World((App("a"),)), hours=24), FULL, *HARMLESS, SLOW)
    server = account(answers)
    reader = Reader(region="eu-west-1")
    from tracekit.aws.audit.losses import fetch_logs  # noqa: PLC0415 - the one use

    (found,) = fetch_logs(reader, answers.records, answers.start, answers.end)
    assert server.calls == {FILTER: 1}
    assert found.request["logGroupName"] == "/ecs/shop"
    assert found.request["logStreamNamePrefix"] == "ecs/collector/"
    assert found.request["startTime"] == 1000 * answers.start
    assert [event["message"][:50] for event in found.content["events"]] == [FULL[:50], SLOW[:50]]
    audit = audit_answers(answers)
    assert audit.services.loc["a", "diagnosis_code"] == "D2b"
    assert "queue full: 1 line, 100 spans; throttled: 1 line" in finding(audit, "D2b").headline


def test_logs_that_may_not_be_read_are_not_checked():
    audit = audit_answers(logged(answers_of(WORLDS["OK"]), failure=DENIED))
    row = facts(audit, "a").loc["collector_log"]
    assert (row["observed"], row["status"]) == ("not checked", "unknown")
    assert row["note"] == "logs:FilterLogEvents: denied; pass one with --logs FILE"
    assert any(one.headline == "not checked: needs logs:FilterLogEvents." for one in audit.findings)


def test_logs_that_were_not_requested_are_not_checked():
    answers = logged(answers_of(WORLDS["OK"]))
    audit = audit_answers(answers.without([FILTER]))
    assert any(one.headline == "not checked: logs:FilterLogEvents: not called." for one in audit.findings)
    assert not any("FilterLogEvents" in one.headline for one in audit_answers(answers_of(WORLDS["OK"])).findings)


def test_a_log_too_long_to_be_read_is_reported(account, monkeypatch):
    from tracekit.aws.audit import losses  # noqa: PLC0415 - to change a limit in it

    monkeypatch.setattr(losses, "_PAGES", 2)
    answers = logged(answers_of(World((App("a"),)), hours=24), *[FULL] * 9)
    account(answers)
    (found,) = losses.fetch_logs(Reader(region="eu-west-1"), answers.records, answers.start, answers.end)
    assert found.content["is_cut"]
    assert len(found.content["events"]) == 4, "two a page"
    audit = audit_answers(answers.without([FILTER]).including([found]))
    assert "the log was not read completely" in facts(audit, "a").loc["collector_log", "note"]


def test_the_command_takes_logs_and_saves_their_content(tmp_path):
    log = written(tmp_path, "collector-checkout.log", f"{FULL}\n")
    ran = CliRunner().invoke(
        app, ["audit", "--from", "audit-shop", "--logs", str(log), "--save", str(tmp_path / "kept")]
    )
    assert ran.exit_code == 1, ran.output
    again = CliRunner().invoke(app, ["audit", "--from", str(tmp_path / "kept")])
    assert "queue full: 1 line, 100 spans" in " ".join(again.output.split())
