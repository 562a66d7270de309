"""What goes over the wire is what boto3 itself would send, and what comes back is told as boto3 tells it."""

from types import SimpleNamespace

import boto3
import msgspec
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError
from fake_xray import BEGUN, Trace, trace_id

from tracekit.aws.client import Caller
from tracekit.aws.pull.batches import _Page
from tracekit.pull.calls import RejectedError

OF_THE_CALL = {"amz-sdk-invocation-id", "amz-sdk-request", "authorization", "x-amz-date", "user-agent"}
QUERY = {"queryString": "fields @message", "logGroupName": "aws/spans", "startTime": BEGUN, "endTime": BEGUN + 60}
CALLS = (
    ("xray", "batch_get_traces", {"TraceIds": [trace_id(1)]}),
    ("xray", "get_trace_summaries", {"StartTime": BEGUN, "EndTime": BEGUN + 60, "Sampling": False}),
    ("xray", "get_indexing_rules", {}),
    ("logs", "start_query", QUERY),
)


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def caught(client, operation, parameters):
    """Return the request of a call that is not sent."""
    sent = []
    answer = AWSResponse("", 200, {}, SimpleNamespace(stream=lambda: [b"{}"]))
    client.meta.events.register("before-send", lambda request, **_: sent.append(request) or answer)
    getattr(client, operation)(**parameters)
    return sent[-1]


@pytest.mark.parametrize(("service", "operation", "parameters"), CALLS)
@pytest.mark.parametrize(
    ("region", "more"),
    [
        ("eu-west-1", {}),
        ("cn-north-1", {}),
        ("us-gov-west-1", {"AWS_USE_FIPS_ENDPOINT": "true"}),
        ("eu-west-1", {"AWS_USE_DUALSTACK_ENDPOINT": "true"}),
        ("eu-west-1", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}),
    ],
)
def test_a_request_is_the_one_of_boto3(monkeypatch, service, operation, parameters, region, more):
    for name, value in more.items():
        monkeypatch.setenv(name, value)
    caller = Caller(region=region, attempts=1, backoff_s=0.0, connections=1)
    own = caught(caller._client(service), operation, parameters)
    usual = caught(boto3.client(service, region_name=region), operation, parameters)
    assert (own.method, own.url, own.body) == (usual.method, usual.url, usual.body)
    heads = [{key.lower(): text(value) for key, value in one.headers.items()} for one in (own, usual)]
    about = [{key: value for key, value in head.items() if key not in OF_THE_CALL} for head in heads]
    assert about[0] == about[1]
    scopes = [head["authorization"].split("Credential=")[1].split(",")[0] for head in heads]
    assert scopes[0] == scopes[1]
    caller.close()


def test_session_event_handlers_receive_every_call_and_may_answer_it():
    session = boto3.Session(region_name="eu-west-1")
    on_answer = []

    def marked(request, **_):
        request.headers["x-mine"] = "1"
        on_answer.append("request-created")

    def answered(request, **_):
        on_answer.append(f"before-send {text(request.headers['x-mine'])} {'Authorization' in request.headers}")
        return AWSResponse(request.url, 200, {}, SimpleNamespace(stream=lambda: [b'{"Traces":[]}']))

    session.events.register("request-created.xray.*", marked)
    session.events.register("before-send.xray.BatchGetTraces", answered)
    caller = Caller(session, attempts=1, backoff_s=0.0, connections=1)
    assert caller.call("xray", "batch_get_traces", _Page, TraceIds=[trace_id(1)]).heads == []
    own = on_answer.copy()
    session.client("xray").batch_get_traces(TraceIds=[trace_id(1)])
    assert own * 2 == on_answer
    assert own == ["request-created", "before-send 1 True"]
    caller.close()


def test_a_moto_account_is_queried_in_its_own_process():
    moto = pytest.importorskip("moto")
    with moto.mock_aws():
        caller = Caller(region="eu-west-1", attempts=1, backoff_s=0.0, connections=1)
        assert caller.call("xray", "batch_get_traces", _Page, TraceIds=[trace_id(1)]).unprocessed == [trace_id(1)]
        caller.close()


def test_a_redirected_call_is_reported():
    session = boto3.Session(region_name="eu-west-1")
    moved = AWSResponse("", 307, {"location": "https://login.example/"}, SimpleNamespace(stream=lambda: [b""]))
    session.events.register("before-send.xray", lambda **_: moved)
    caller = Caller(session, attempts=3, backoff_s=0.0, connections=1)
    expected = "found 307 307: a redirect to https://login.example/; check for a proxy"
    with pytest.raises(RejectedError, match=expected):
        caller.call("xray", "batch_get_traces", _Page, TraceIds=[trace_id(1)])
    caller.close()


def test_an_error_is_the_one_of_boto3(serve):
    server = serve([Trace(1)])
    server.denied = {"GetIndexingRules"}
    caller = Caller(attempts=1, backoff_s=0.0, connections=1)
    told = []
    for client in (caller._client("xray"), boto3.client("xray")):
        with pytest.raises(ClientError) as refused:
            client.get_indexing_rules()
        response = refused.value.response
        told.append((response["Error"], response["ResponseMetadata"]["HTTPStatusCode"], str(refused.value)))
    assert told[0] == told[1]
    assert told[0][0]["Code"] == "AccessDeniedException"
    caller.close()


def test_a_page_is_kept_as_it_came_unless_something_in_it_is_still_open():
    whole = b'{"Traces":[{"Id":"1-a","Segments":[]},{"Id":"1-b","x":"\\n"}],\n"UnprocessedTraceIds":[]}'
    assert _Page.of(whole).line({}) == whole.replace(b"\n", b" ")
    alone = b'{"Traces":[{"Id":"1-b","x":"\\n"}],"UnprocessedTraceIds":[]}'
    assert _Page.of(whole).line({"1-a"}) == alone
    for more in (b'"UnprocessedTraceIds":["1-c"]', b'"NextToken":"t"'):
        page = _Page.of(b'{"Traces":[{"Id":"1-b","x":"\\n"}],%b}' % more)
        assert page.line({}) == alone, "X-Ray is asked again: what was open once says nothing in the end"
    with pytest.raises(msgspec.ValidationError, match="missing required field `Traces`"):
        _Page.of(b'{"message":"sign in"}')
