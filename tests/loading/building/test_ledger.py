"""The ledger: counts that add up, rows that say where, and an end to what repeats."""

import pytest

from tracekit.errors import LoadError
from tracekit.loading.building.catalogue import CATALOGUE
from tracekit.loading.building.ledger import (
    ROWS_PER_CODE,
    Ledger,
    Position,
    excerpt,
    issues_frame,
    sources_frame,
)
from tracekit.schema import names

AT = Position(12, 345)


def test_the_conservation_law_is_true_after_every_step():
    ledger = Ledger("a.json")
    ledger.seen += 5
    ledger.quarantine("JSON_SYNTAX", "no", at=AT, count=2)
    ledger.merged += 1
    assert (ledger.seen, ledger.accepted, ledger.merged, ledger.quarantined) == (7, 4, 1, 2)
    assert ledger.row()["span_count"] == 7


def test_a_row_has_its_position():
    ledger = Ledger("a.json")
    ledger.issue("ID_ZERO", "expected digits", at=AT, trace_id="ab", span_id="cd", field="traceId", raw=b'{"x": 1}')
    [row] = ledger.issues
    remedy = CATALOGUE["ID_ZERO"].remedy
    assert row.message == f"ID_ZERO a.json:12 (byte 345) trace ab span cd: expected digits; {remedy}"
    assert row[:8] == ("ID_ZERO", "error", 12, 345, "ab", "cd", "traceId", row.message)
    assert row.raw_excerpt == '{"x": 1}'


def test_an_issue_of_the_whole_source_has_no_place():
    ledger = Ledger("a.json")
    ledger.issue("FILE_BLANK", "nothing there")
    assert ledger.issues[0].message == "FILE_BLANK a.json: nothing there"
    frame = issues_frame([ledger])
    assert frame["record_number"].isna().all()
    assert frame["byte_offset"].isna().all()


def test_an_issue_without_a_code_of_the_catalogue_is_a_mistake():
    with pytest.raises(KeyError):
        Ledger("a.json").issue("NO_SUCH_CODE", "x")


def test_the_catalogue_uses_the_terms_of_the_schema():
    assert {code.severity for code in CATALOGUE.values()} == {"info", "warn", "error"}
    assert all(code.meaning for code in CATALOGUE.values())


def test_a_row_ends_with_what_to_do_where_there_is_something_to_do():
    ledger = Ledger("a.json")
    ledger.issue("DUR_ABSURD", "1 span: longer than 30 days")
    ledger.tally("ENUM_BAD", "kind 99", Position(2, 9), 3)
    ledger.close()
    ledger.issue("TIME_ZERO", "kept so", severity="info")
    ledger.issue("ENC_INVALID_UTF8", "get it again", action="aborted")
    assert [issue.message for issue in ledger.issues] == [
        "DUR_ABSURD a.json: 1 span: longer than 30 days; check the instrumentation that sets the end time",
        (
            "ENUM_BAD a.json:2 (byte 9): kind 99; 3 times; this is the first;"
            " fix the exporter (SDK or collector) that wrote this file"
        ),
        "TIME_ZERO a.json: kept so",
        "ENC_INVALID_UTF8 a.json: get it again",
    ]


def test_strict_raises_for_errors_and_for_what_is_left_out_and_for_nothing_else():
    ledger = Ledger("a.json", strict=True)
    ledger.issue("ENUM_BAD", "a warning")
    ledger.issue("ID_ZERO", "of a parent", severity="warn")
    ledger.tally("ID_64BIT", "padded", AT)
    ledger.close()
    with pytest.raises(LoadError, match=r"^JSON_SYNTAX a\.json:12 \(byte 345\): no JSON; fix .*$") as caught:
        ledger.quarantine("JSON_SYNTAX", "no JSON", at=AT)
    assert (caught.value.code, caught.value.source, caught.value.record) == ("JSON_SYNTAX", "a.json", 12)
    with pytest.raises(LoadError, match="CONTAINER_BOMB"):
        ledger.issue("CONTAINER_BOMB", "too large", action="aborted")
    with pytest.raises(LoadError, match="PARENT_CYCLE"):
        ledger.issue("PARENT_CYCLE", "round and round")


def test_a_callback_gets_every_row_also_those_beyond_the_cap():
    got = []
    ledger = Ledger("a.json", on_issue=got.append)
    for number in range(ROWS_PER_CODE + 5):
        ledger.quarantine("JSON_SYNTAX", "no", at=Position(number + 1, 0))
    ledger.tally("ID_64BIT", "padded", AT, 3)
    ledger.skip("logs", 2)
    ledger.dialect("snake_case")
    ledger.formats["otlp"] += 1
    ledger.close()
    assert [row.code for row in got[-3:]] == ["ID_64BIT", "SIGNAL_MIXED", "DIALECT"]
    assert len(got) == ROWS_PER_CODE + 8


def test_rows_beyond_the_cap_are_one_row_with_their_count():
    ledger = Ledger("a.json")
    for number in range(ROWS_PER_CODE + 7):
        ledger.quarantine("JSON_SYNTAX", "no", at=Position(number + 1, 0), count=2)
    rows = issues_frame([ledger])
    assert len(rows) == ROWS_PER_CODE + 1
    assert rows["issue_count"].sum() == ledger.quarantined == 2 * (ROWS_PER_CODE + 7)
    assert rows["message"].iloc[-1] == "JSON_SYNTAX a.json: and 14 more"
    assert rows["action"].iloc[-1] == "quarantined"


def test_what_repeats_is_one_row_with_the_first_place():
    ledger = Ledger("a.json")
    for record in (4, 9, 12):
        ledger.tally("ID_64BIT", "padded", Position(record, record * 10), action="repaired")
    ledger.tally("ID_64BIT", "something else", AT)
    ledger.close()
    first, second = ledger.issues
    assert first.message == "ID_64BIT a.json:4 (byte 40): padded; 3 times; this is the first"
    assert (first.issue_count, first.action) == (3, "repaired")
    assert second.message == "ID_64BIT a.json:12 (byte 345): something else"
    ledger.close()
    assert len(ledger.issues) == 2, "closing twice tells nothing twice"


def test_dialects_and_other_signals_are_reported_once_with_their_counts():
    ledger = Ledger("a.json")
    ledger.formats["otlp"] += 1
    ledger.dialect("snake_case", 3)
    ledger.dialect("enum_names")
    ledger.skip("metrics")
    ledger.skip("logs", 4)
    ledger.close()
    rows = issues_frame([ledger]).set_index("message")["issue_count"].to_dict()
    skipped = f"which were skipped; {CATALOGUE['SIGNAL_MIXED'].remedy}"
    assert rows == {
        f"SIGNAL_MIXED a.json: expected traces only, found 1 record of metrics, {skipped}": 1,
        f"SIGNAL_MIXED a.json: expected traces only, found 4 records of logs, {skipped}": 4,
        "DIALECT a.json: converted from other layouts: enum_names (1), snake_case (3); no action needed": 4,
    }
    assert ledger.row()["dialects"] == "enum_names=1 snake_case=3"
    assert ledger.row()["skipped_count"] == 5


def test_the_first_reason_to_be_incomplete_stays():
    ledger = Ledger("a.json")
    ledger.incomplete("cut")
    ledger.incomplete("and torn")
    assert (ledger.complete, ledger.stop_reason) == (False, "cut")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b'{"authorization": "Bearer abc.def", "x": 1}', '{"authorization": "Bearer ***", "x": 1}'),
        ("password=hunter2;x", "password=***;x"),
        ('{"aws_secret_access_key": "AKIA/123"}', '{"aws_secret_access_key": "***"}'),
        ("postgres://shop:hunter2@db/orders", "postgres://shop:***@db/orders"),
        ("http://db:5432/x@y", "http://db:5432/x@y"),
        ("{'api-key': 'k'}", "{'api-key': '***'}"),
        (b"\xff\xfe ok", "\ufffd\ufffd ok"),
        ("\ud800 alone", "? alone"),
    ],
)
def test_excerpts_are_text_without_secrets(raw, shown):
    assert excerpt(raw) == shown


def test_excerpts_are_short_and_fast_for_anything():
    assert len(excerpt(b"x" * 10_000_000)) == len(excerpt("y" * 10_000_000)) == 500
    assert "hunter2" not in excerpt("x" * 480 + " password: hunter2hunter2")


def test_frames_of_no_sources_have_their_columns_and_types():
    sources, issues = sources_frame([]), issues_frame([])
    assert list(sources) == names("sources")
    assert list(issues) == names("issues")
    assert str(issues["record_number"].dtype) == "Int64"
    assert str(issues["code"].dtype) == "category"


def test_silence_is_the_absence_of_every_remark():
    assert Ledger("a").is_silent
    for remark in (
        lambda ledger: ledger.issue("ENUM_BAD", "x"),
        lambda ledger: ledger.tally("ENUM_BAD", "x", AT),
        lambda ledger: ledger.dialect("x"),
    ):
        ledger = Ledger("a")
        remark(ledger)
        assert not ledger.is_silent
