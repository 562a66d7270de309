"""X-Ray filter expressions over hand-drawn traces with known answers."""

import json
import time

import pandas as pd
import pytest

import tracekit as tk
from tracekit.expressions import is_xray

S = 1_000_000_000
#  a1  web (SERVER, 200, user anna)  0..3 s  -> client -> payments (SERVER, 500) 1..2 s; web handled it
#  b2  web (SERVER, 503)             0..1 s  -> client call to DynamoDB, which sends nothing
#  c3  payments (SERVER, 429)        0..0.5 s
#  d4  web (SERVER, no status)       0..?    still running
ROWS = [
    ("a1", "1", None, "web", "SERVER", 0, 3 * S, 200, "http://shop/api/v2/pay", None, "anna"),
    ("a1", "2", "1", "web", "CLIENT", 1 * S, 2 * S, 500, "http://payments/charge", "payments", None),
    ("a1", "3", "2", "payments", "SERVER", 1 * S, 2 * S, 500, "http://payments/charge", None, None),
    ("b2", "4", None, "web", "SERVER", 0, 1 * S, 503, "http://shop/", None, None),
    ("b2", "5", "4", "web", "CLIENT", 0, S // 2, None, None, "DynamoDB", None),
    ("c3", "6", None, "payments", "SERVER", 0, S // 2, 429, "http://payments/charge", None, "bob"),
    ("d4", "7", None, "web", "SERVER", 0, None, None, None, None, None),
]
COLUMNS = [
    "trace_id",
    "span_id",
    "parent_span_id",
    "service_name",
    "kind",
    "start_ns",
    "end_ns",
    "attributes.http.response.status_code",
    "attributes.url.full",
    "attributes.peer.service",
    "attributes.enduser.id",
]


@pytest.fixture(scope="module")
def shop():
    frame = pd.DataFrame(ROWS, columns=COLUMNS).assign(name="x")
    frame["attributes.cart.size"] = pd.Series([3, None, None, 30, None, None, None], dtype="Int64")
    frame["attributes.tenant"] = ["blue", None, "red", None, None, None, None]
    frame["attributes.vip"] = pd.Series([True, None, None, False, None, None, None], dtype="boolean")
    frame["cloud_platform"] = ["aws_ecs", "aws_ecs", "aws_lambda", "aws_ecs", "aws_ecs", "aws_lambda", "aws_ecs"]
    frame["cloud_account_id"] = ["1", "1", "2", "1", "1", "2", "1"]
    frame["end_ns"] = frame["end_ns"].astype("Int64")
    return tk.TraceSet.from_spans(frame)


def found(traces, expression, **more):
    mask = tk.xray_filter(traces, expression, **more)
    return " ".join(trace_id[-2:] for trace_id in mask.index[mask])


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("ok", "a1 d4"),
        ("!ok", "b2 c3"),
        ("ok = false", "b2 c3"),
        ("ok != true", "b2 c3"),
        ("ok = TRUE", "a1 d4"),
        ('ok = "true"', "a1 d4"),
        ("fault", "b2"),
        ("error", "c3"),
        ("throttle", "c3"),
        ("partial", "d4"),
        ("inferred", ""),
        ("!inferred", "a1 b2 c3 d4"),
        ("duration > 1", "a1"),
        ("duration >= 1", "a1 b2"),
        ("duration = 0.5", "c3"),
        ("duration != 0.5", "a1 b2"),
        ("duration", "a1 b2 c3"),
        ("responsetime < 1", "c3"),
        ("responseTime <= 1 AND http.status = 503", "b2"),
        ("http.status != 200", "b2 c3"),
        ("http.status", "a1 b2 c3"),
        ("ok !partial duration <4", "a1"),
        ('http.url CONTAINS "/v2/"', "a1"),
        ('http.url BEGINSWITH "http://shop/"', "a1 b2"),
        ('http.url ENDSWITH "charge"', "c3"),
        ('http.url beginswith "http://shop/" and !service("payments")', "b2"),
        ('http.method = "GET"', ""),
        ("http.url", "a1 b2 c3"),
        ('user CONTAINS ""', "a1 c3"),
        ('user = "anna"', "a1"),
        ("user != anna", "c3"),
        ("!user", "b2 d4"),
        ("annotation.tenant", "a1"),
        ("!annotation.tenant", "b2 c3 d4"),
        ('annotation.tenant = "red"', "a1"),
        ('annotation.tenant BEGINSWITH "r"', "a1"),
        ("annotation[cart.size] > 3", "b2"),
        ("annotation[cart.size] >= 3", "a1 b2"),
        ("annotation.cart_size = 3", "a1"),
        ('annotation.cart_size = "3"', ""),
        ("annotation.vip", "a1"),
        ("!annotation.vip", "b2 c3 d4"),
        ("annotation.vip = false", "b2"),
        ("annotation.vip = 0", ""),
        ("annotation.cart_size = true", ""),
        ("annotation.nothing", ""),
        ('service("payments")', "a1 c3"),
        ('service("payments") { fault }', "a1"),
        ('service("payments") { throttle OR duration > 0.9 }', "a1 c3"),
        ("service() { fault }", "a1 b2"),
        ("service() { !fault }", "a1 b2 c3 d4"),
        ('service("pay*") { error }', "c3"),
        ('service("w?b") { root = true and fault = true }', "b2"),
        ('service("payments") { root }', "c3"),
        ('service("payments") { !root }', "a1"),
        ('service("DynamoDB")', "b2"),
        ('service("DynamoDB") { root }', ""),
        ('service("DynamoDB") { duration = 0.5 }', "b2"),
        ('service(id(type: "AWS::Lambda::Function"))', "a1 c3"),
        ('service(id(name: "web", type: "AWS::Lambda::*"))', ""),
        ('service(id(account.id: "2")) { ok = false }', "a1 c3"),
        ('service() { name = "payments" AND type CONTAINS "Lambda" AND fault }', "a1"),
        ('service("web") { annotation.tenant = "blue" }', "a1"),
        ('service("payments") { annotation.tenant = "blue" }', ""),
        ('service("payments") { user = "bob" }', "c3"),
        ('edge("web", "payments")', "a1"),
        ('edge("web", "payments") { fault AND http.status = 500 }', "a1"),
        ('edge("payments", "web")', ""),
        ('edge("web", "DynamoDB")', "b2"),
        ('edge(id(name: "web"), id(type: "AWS::Lambda::Function"))', "a1"),
        ('edge("*", "*")', "a1 b2"),
        ("ok OR fault AND duration > 2", "a1 d4"),
        ("(ok OR fault) AND duration > 2", "a1"),
        ("!(ok OR fault)", "c3"),
        ("!!ok", "a1 d4"),
        ("!ok OR !fault AND partial", "b2 c3 d4"),
    ],
)
def test_what_an_expression_finds(shop, expression, answer):
    assert found(shop, expression) == answer


def test_where_takes_the_same_texts(shop):
    assert [trace_id[-2:] for trace_id in shop.where('service("payments") { fault } AND duration > 1').trace_ids] == [
        "a1"
    ]
    assert len(shop.where("duration_ns > 1_500_000_000")) == 1


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("duration > 1", True),
        ("  !( fault )", True),
        ("ERROR", True),
        ('edge("a", "b")', True),
        ("annotation[key] = 3", True),
        ("rootcause.fault.service", True),
        ("inferred AND ok", True),
        ("inferred", False),
        ("service_name == 'ledger'", False),
        ("durtion_ns > 5", False),
        ('servce("payments") { fault }', True),
        ("!colour", True),
        ("service_name == 'AND' and", True),
        ("service_name == 'ledger' and", False),
        ("", False),
        ("x\0", False),
        ("(" * 5000, False),
    ],
)
def test_which_language_a_text_is(expression, answer):
    assert is_xray(expression) is answer


def test_zone_instance_and_arn_are_those_of_the_resource():
    document = {
        "id": "53995c3f42cd8ad8",
        "trace_id": "1-58406520-a006649127e371903a2de979",
        "name": "web",
        "origin": "AWS::EC2::Instance",
        "resource_arn": "arn:aws:ec2:1",
        "start_time": 1700000001.0,
        "end_time": 1700000002.0,
        "throttle": True,
        "annotations": {"shelf": 4},
        "metadata": {"debug": {"note": "x"}},
        "aws": {"ec2": {"availability_zone": "us-west-2c", "instance_id": "i-1"}},
    }
    traces = tk.read(json.dumps(document).encode())
    for expression in (
        'availabilityzone = "us-west-2c"',
        'instance.id BEGINSWITH "i-"',
        'resource.arn = "arn:aws:ec2:1" AND throttle AND error AND !ok',
        'service(id(name: "web", type: "AWS::EC2::*")) { instance.id = "i-1" }',
        "annotation.shelf = 4",
    ):
        assert len(traces.where(expression)) == 1, expression
    assert len(traces.where("annotation.note")) == 0, "metadata is not indexed"


def test_an_inferred_segment_is_a_service_once():
    main = {
        "id": "53995c3f42cd8ad8",
        "trace_id": "1-58406520-a006649127e371903a2de979",
        "name": "web",
        "start_time": 1700000001.0,
        "end_time": 1700000002.0,
        "subsegments": [
            {
                "id": "53995c3f42cd8ad9",
                "name": "DynamoDB",
                "namespace": "aws",
                "start_time": 1700000001.1,
                "end_time": 1700000001.9,
            }
        ],
    }
    inferred = {
        "id": "53995c3f42cd8ada",
        "parent_id": "53995c3f42cd8ad9",
        "trace_id": "1-58406520-a006649127e371903a2de979",
        "name": "DynamoDB",
        "origin": "AWS::DynamoDB",
        "inferred": True,
        "start_time": 1700000001.1,
        "end_time": 1700000001.9,
    }
    whole = tk.read(b"\n".join(json.dumps(one).encode() for one in (main, inferred)))
    assert len(whole.where('edge("web", id(type: "AWS::DynamoDB")) { duration > 0.7 } AND service() { inferred }')) == 1
    assert len(whole.where('service("DynamoDB") { inferred = false }')) == 0
    alone = tk.read(json.dumps(main).encode())
    assert len(alone.where('edge("web", "DynamoDB")')) == 1


def test_groups_are_replaced_by_their_expressions(shop):
    groups = {"slow": "responsetime > 2", "arn:aws:xray:1:group/bad": '!ok AND group.name != "slow"'}
    assert found(shop, 'group.name = "slow" AND user = "anna"', groups=groups) == "a1"
    assert found(shop, 'group.name != "slow"', groups=groups) == "b2 c3 d4"
    assert found(shop, 'group.arn = "arn:aws:xray:1:group/bad"', groups=groups) == "b2 c3"
    with pytest.raises(tk.FilterError, match=r"expected one of the groups passed \('slow'\), found 'fast' at 0"):
        found(shop, 'group.name = "fast"', groups={"slow": "ok"})
    with pytest.raises(tk.FilterError, match="none; pass groups="):
        shop.where('group.name = "fast"')
    with pytest.raises(tk.FilterError, match="a group that does not refer to itself, found 'b'"):
        found(shop, 'group.name = "a"', groups={"a": 'group.name = "b"', "b": 'ok OR group.name = "b"'})


CAUSES = {
    "fault_root_causes": [
        {
            "Services": [
                {"Name": "web", "Type": "AWS::EC2::Instance", "EntityPath": [{"Name": "web"}, {"Name": "deserialize"}]},
                {
                    "Name": "payments",
                    "Type": "AWS::Lambda::Function",
                    "Inferred": True,
                    "EntityPath": [
                        {
                            "Name": "charge",
                            "Remote": True,
                            "Exceptions": [{"Name": "Denied", "Message": "Access Denied"}],
                        }
                    ],
                },
            ],
            "ClientImpacting": True,
        }
    ],
    "error_root_causes": [],
    "response_time_root_causes": [
        {"Services": [{"Name": "web", "EntityPath": [{"Name": "traces", "Remote": True, "Coverage": 0.8}]}]}
    ],
}


@pytest.mark.parametrize(
    ("expression", "is_found"),
    [
        ("rootcause.fault.service", True),
        ("rootcause.error.service", False),
        ("!rootcause.error.entity", True),
        ('rootcause.fault.service { name = "payments" and inferred }', True),
        ('rootcause.fault.service { name = "web" and inferred }', False),
        ('rootcause.fault.service { last and type = "AWS::Lambda::Function" }', True),
        ('rootcause.fault.service { first and name = "payments" }', False),
        ("rootcause.fault.service { index > 1 }", False),
        ("rootcause.fault.service { index = 1 }", True),
        ('rootcause.fault.entity { last = false and name = "deserialize" }', True),
        ("rootcause.fault.entity { remote and name ENDSWITH arge }", True),
        ('rootcause.fault.exception { last and message = "Access Denied" AND name = "Denied" }', True),
        ('rootcause.fault.exception { message CONTAINS "denied" }', False),
        ("rootcause.responsetime.entity { remote and coverage > 0.7 and name = traces }", True),
        ("rootcause.responsetime.entity { coverage > 0.8 }", False),
        ("rootcause.responsetime.service { type }", False),
        ('rootcause.json = #[{"Services": [{"Name": "web"}, {"Name": "payments"}]}]', True),
        ('rootcause.json = #[{"Services": [{"Name": "cart"}]}]', False),
        ('rootcause.json = #{"Services": [{"Name": "web", "EntityPath": [{"Name": "traces"}]}]}', True),
        ('rootcause.json = #[{"Services": "web"}]', False),
        ('rootcause.json = #[{"Services": {"Name": "web"}}]', False),
        ('rootcause.json = #[{"Services": [["web"]]}]', False),
    ],
)
def test_root_causes_come_from_the_summaries(shop, expression, is_found):
    texts = {column: [json.dumps(causes), None] for column, causes in CAUSES.items()}
    summaries = pd.DataFrame(texts, index=pd.Index([shop.trace_ids[0], shop.trace_ids[1]], name="trace_id"))
    answer = found(shop, expression, summaries=summaries)
    assert answer == (("a1" if "!" not in expression else "a1 b2 c3 d4") if is_found else "")


def test_root_causes_need_the_summaries(shop):
    with pytest.raises(tk.FilterError, match="expected a table of trace summaries for root causes") as told:
        shop.where("ok AND rootcause.fault.service { last }")
    assert told.value.position == 7


@pytest.mark.parametrize(
    ("expression", "position", "expected"),
    [
        ("", 0, "a keyword, '!' or '\\(', found the end"),
        ("duration > fast", 11, "a number after 'duration >', found 'fast'"),
        ("duration CONTAINS 3", 9, "one of = != < <= > >= after 'duration', found 'CONTAINS'"),
        ("fault > 3", 6, "one of = != after 'fault', found '>'"),
        ("fault = 3", 8, "true or false after 'fault =', found '3'"),
        ("user = 3", 7, "text in double quotation marks after 'user =', found '3'"),
        ("user = AND", 7, "text in double quotation marks"),
        ("user = 'anna'", 7, "found text in single quotation marks"),
        ('user = "anna', 7, "found text without its closing quotation mark"),
        ("durtion > 3", 0, r"an X-Ray keyword \(did you mean duration"),
        ("ok AND colour", 7, "an X-Ray keyword, found 'colour'"),
        ("ok AND", 6, "a keyword, '!' or '\\(', found the end"),
        ("AND ok", 0, "a keyword, '!' or '\\(', found 'AND'"),
        ("(ok", 3, r"'\)' for the '\(' at 0, found the end"),
        ("ok)", 2, "AND, OR, another condition or the end, found '\\)'"),
        ("ok }", 3, "AND, OR, another condition or the end"),
        ("ok ~ fault", 3, "a keyword, an operator or a value, found '~'"),
        ("ok == true", 4, "true or false after 'ok =', found '='"),
        ("root", 0, r"a keyword allowed outside of braces, found 'root', which belongs to service"),
        ('edge("a", "b") { name = "x" }', 17, "in the braces of edge, found 'name'"),
        ('service("a") { service("b") }', 15, "in the braces of service, found 'service'"),
        ('service("a") { fault', 20, "AND, OR, another condition or '}', found the end"),
        ('service("a") { (fault }', 22, r"'\)' for the '\('"),
        ('service("a") { (fault', 21, r"'\)' for the '\('"),
        ('service("a") {}', 14, "a keyword, '!' or '\\(', found '}'"),
        ("service", 7, r"'\(' after 'service'"),
        ("service(cart)", 8, "the name of a service in double quotation marks, or id"),
        ('service("a" { fault }', 12, r"'\)' after the services of 'service'"),
        ('edge("a")', 8, "',' between the two services of an edge"),
        ("service(id(nam: 1))", 11, "one of name, type, account.id, each once"),
        ('service(id(name: "a", name: "b"))', 22, "one of name, type, account.id, each once"),
        ("service(id(name: cart))", 17, "text in double quotation marks after 'name:'"),
        ('service(id(name "cart"))', 16, "':' after 'name'"),
        ('service(id(name: "cart"', 23, r"'\)' at the end of id"),
        ("annotation", 10, "a key as in annotation.key"),
        ("annotation. = 3", 12, "a key as in annotation.key"),
        ("annotation.age > true", 17, "a number after 'annotation.age >', found 'true'"),
        ("annotation.age = ", 17, "a number or text"),
        ("annotation.age CONTAINS 3", 24, "text in double quotation marks"),
        ("group.name", 10, "= or != after 'group.name'"),
        ("rootcause.json", 14, "'=' after 'rootcause.json'"),
        ("rootcause.json = 3", 17, "# and a JSON list"),
        ("rootcause.json = #[1", 17, "a JSON value after #"),
        ("rootcause.fault", 0, "an X-Ray keyword"),
        ("rootcause.fault.service { coverage > 1 }", 26, "which belongs to rootcause.responsetime.entity"),
    ],
)
def test_errors_point_at_the_place_and_name_what_was_expected(shop, expression, position, expected):
    with pytest.raises(tk.FilterError, match=expected) as told:
        tk.xray_filter(shop, expression)
    assert told.value.position == position
    assert told.value.expression == expression
    first, line, caret = str(told.value).split("\n")
    assert f" at {position} of the filter expression" in first
    assert line == f"  {expression}"
    assert caret.index("^") == position + 2


def test_the_picture_of_a_long_expression_is_cut_around_the_place(shop):
    expression = "ok AND " * 5000 + "colour\nOR ok"
    with pytest.raises(tk.FilterError) as told:
        tk.xray_filter(shop, expression)
    _, line, caret = str(told.value).split("\n")
    assert len(line) <= 122
    assert line[caret.index("^") :].startswith("colour OR ok")


def test_a_name_of_many_stars_is_matched_at_once():
    long = tk.TraceSet.from_spans(
        pd.DataFrame({"trace_id": ["a1"], "span_id": "1", "name": "x", "start_ns": 0, "end_ns": 5}).assign(
            service_name="a" * 5000
        )
    )
    began = time.process_time()
    assert len(long.where('service("' + "*a" * 200 + '*b")')) == 0
    assert len(long.where('service("' + "*a" * 200 + '*")')) == 1
    assert time.process_time() - began < 2


def test_depth_is_no_concern(shop):
    deep = "!(" * 20_001 + "ok" + ")" * 20_001
    assert found(shop, deep) == "b2 c3"
    with pytest.raises(tk.FilterError, match="a JSON value after #"):
        tk.xray_filter(shop, "rootcause.json = #" + "[" * 200_000)


def test_no_traces_at_all(shop):
    empty = shop.where("duration > 1000")
    assert len(empty) == 0
    assert (
        found(empty, 'service("a") { fault } OR edge("a", "b") OR annotation.x > 1 OR user = "x" OR duration > 1') == ""
    )
