"""A small X-Ray on loopback, which behaves and misbehaves like the real one where emulators do not."""

import contextlib
import json
import random
import socket
import struct
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BEGUN = 1_760_000_000
SIX_HOURS = 6 * 3600
FIRST_TOKENS = {"BatchGetTraces": "t0", "GetTraceSummaries": "s0", "ListRetrievedTraces": "p0"}
HTML = b"<html><body>Please sign in</body></html>"


def trace_id(number, second=BEGUN):
    return f"1-{second:08x}-{number:024x}"


def document(xray_id, number, second=BEGUN, **more):
    """A segment with one subsegment."""
    segment = {
        "id": f"{number:016x}",
        "trace_id": xray_id,
        "name": f"service-{number % 3}",
        "start_time": second + 0.25,
        "end_time": second + 0.75,
        "subsegments": [
            {"id": f"{number + 2**40:016x}", "name": "work", "start_time": second + 0.3, "end_time": second + 0.5}
        ],
    }
    return json.dumps(segment | more, separators=(",", ":"))


class Trace:
    """What the server knows about a trace."""

    def __init__(self, number, second=BEGUN, *, limit=False, indexed=True, segments=None):
        self.id = trace_id(number, second)
        self.second = second
        self.limit = limit
        self.indexed = indexed
        self.documents = segments or [document(self.id, number * 2, second), document(self.id, number * 2 + 1, second)]

    def answer(self):
        segments = [{"Id": json.loads(text)["id"], "Document": text} for text in self.documents]
        return {"Id": self.id, "Duration": 0.5, "LimitExceeded": self.limit, "Segments": segments}

    def summary(self):
        return {
            "Id": self.id,
            "StartTime": self.second,
            "Duration": 0.5,
            "ResponseTime": 0.4,
            "HasFault": False,
            "HasError": True,
            "HasThrottle": False,
            "IsPartial": False,
            "Http": {"HttpURL": "http://shop/", "HttpStatus": 404, "HttpMethod": "GET"},
            "Annotations": {"tenant": [{"AnnotationValue": {"StringValue": "blue"}, "ServiceIds": [{"Name": "web"}]}]},
            "Users": [{"UserName": "anna", "ServiceIds": []}],
            "ServiceIds": [{"Name": "web", "Type": "AWS::EC2::Instance"}],
            "EntryPoint": {"Name": "web", "Type": "AWS::EC2::Instance"},
            "FaultRootCauses": [{"Services": [{"Name": "web", "EntityPath": [{"Name": "web"}]}]}],
            "Revision": 2,
        }


class FakeXRay(ThreadingHTTPServer):
    """Serves traces.

    ``faults`` is called with (operation, request body) and may name a fault; ``asked`` counts how often every trace id
    was asked for, ``calls`` the requests by operation.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, traces=(), *, faults=None, page=2, longest=SIX_HOURS):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.traces = {trace.id: trace for trace in traces}
        self.faults = faults or (lambda *_: None)
        self.page = page
        self.longest = longest
        self.lock = threading.Lock()
        self.calls, self.asked, self.answered = Counter(), Counter(), Counter()
        self.requests, self.headers = [], []
        self.retrievals, self.queries = {}, {}
        self.destination = {"Destination": "XRay", "Status": "ACTIVE"}
        self.statuses = ["SCHEDULED", "RUNNING", "COMPLETE"]
        self.query_statuses = ["Scheduled", "Complete"]
        self.most_results = 10_000
        self.denied = set()
        self.dead_tokens = False
        self.never = set()  # ids that stay unprocessed
        self.spans = []
        self.span_bytes = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_):
        """A client that went away is no news."""

    # ---------------------------------------------------------------- operations

    def answer(self, operation, body):
        if operation in self.denied:
            return 403, {"__type": "AccessDeniedException", "message": f"not authorized to perform: {operation}"}
        return getattr(self, f"do_{operation}")(body)

    def do_BatchGetTraces(self, body):  # noqa: N802 - as the operation is called
        ids = body["TraceIds"]
        if not 1 <= len(ids) <= 5:
            return 400, invalid("1 validation error: member must have length less than or equal to 5")
        if any(not one.startswith("1-") for one in ids):
            return 400, invalid("bad trace id")
        start = int(body.get("NextToken", "t0").removeprefix("t"))
        if not start:
            self.asked.update(ids)
        known = [self.traces[one] for one in ids if one in self.traces and self.traces[one].indexed]
        here = known[start : start + self.page]
        given = [one for one in here if one.id not in self.never]
        self.answered.update(one.id for one in given)
        found = {
            "Traces": [one.answer() for one in given],
            "UnprocessedTraceIds": [one.id for one in here if one.id in self.never],
        }
        if start + self.page < len(known):
            found["NextToken"] = f"t{start + self.page}"
        return 200, found

    def do_GetTraceSummaries(self, body):  # noqa: N802 - as the operation is called
        if body["EndTime"] - body["StartTime"] > self.longest:
            return 400, invalid("Time range cannot be longer than 6 hours")
        if "colour" in body.get("FilterExpression", ""):
            return 400, invalid("Invalid filter expression")
        if self.dead_tokens and "NextToken" in body:
            return 400, invalid("Invalid token")
        known = [one for one in self.traces.values() if body["StartTime"] <= one.second < body["EndTime"]]
        known = sorted(known, key=lambda one: (-one.second, one.id))
        start = int(body.get("NextToken", "s0").removeprefix("s"))
        here = known[start : start + self.page]
        found = {"TraceSummaries": [one.summary() for one in here], "TracesProcessedCount": len(here) + 1}
        found["ApproximateTime"] = body["EndTime"]
        if start + self.page < len(known):
            found["NextToken"] = f"s{start + self.page}"
        return 200, found

    def do_GetTraceSegmentDestination(self, body):  # noqa: ARG002, N802 - as the operation is called
        return 200, self.destination

    def do_GetIndexingRules(self, body):  # noqa: ARG002, N802 - as the operation is called
        rule = {"DesiredSamplingPercentage": 5, "ActualSamplingPercentage": 1.5}
        return 200, {"IndexingRules": [{"Name": "Default", "Rule": {"Probabilistic": rule}}]}

    def do_StartTraceRetrieval(self, body):  # noqa: N802 - as the operation is called
        if not 1 <= len(body["TraceIds"]) <= 100:
            return 400, invalid("too many ids")
        token = f"r{len(self.retrievals)}"
        inside = [one for one in body["TraceIds"] if one in self.traces]
        window = range(int(body["StartTime"]), int(body["EndTime"]))
        self.retrievals[token] = ([one for one in inside if self.traces[one].second in window], list(self.statuses))
        return 200, {"RetrievalToken": token}

    def do_ListRetrievedTraces(self, body):  # noqa: N802 - as the operation is called
        ids, statuses = self.retrievals[body["RetrievalToken"]]
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        if status != "COMPLETE":
            return 200, {"RetrievalStatus": status}
        parts = [(one, text) for one in ids for text in self.traces[one].documents]
        start = int(body.get("NextToken", "p0").removeprefix("p"))
        traces = {}
        for one, text in parts[start : start + 3]:
            spans = traces.setdefault(one, {"Id": one, "Duration": 0.5, "Spans": []})["Spans"]
            spans.append({"Id": json.loads(text)["id"], "Document": text})
        found = {"RetrievalStatus": status, "TraceFormat": body["TraceFormat"], "Traces": list(traces.values())}
        if start + 3 < len(parts):
            found["NextToken"] = f"p{start + 3}"
        return 200, found

    def do_StartQuery(self, body):  # noqa: N802 - as the operation is called
        if body["logGroupName"] != "aws/spans" or self.spans is None:
            return 400, {"__type": "ResourceNotFoundException", "message": "no such log group"}
        token = f"q{len(self.queries)}"
        self.queries[token] = (body, list(self.query_statuses))
        return 200, {"queryId": token}

    def do_GetQueryResults(self, body):  # noqa: N802 - as the operation is called
        query, statuses = self.queries[body["queryId"]]
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        if status != "Complete":
            return 200, {"status": status, "results": []}
        inside = [
            one for one in self.spans if query["startTime"] <= one["startTimeUnixNano"] // 10**9 <= query["endTime"]
        ]
        text = query["queryString"]
        if text.startswith("stats"):
            return 200, {"status": status, "results": [], **self.scanned(len(inside))}
        if "traceId in [" in text:
            ids = set(json.loads(text.partition("traceId in ")[2]))
            rows = [
                [{"field": "@message", "value": json.dumps(one, indent=1)}] for one in inside if one["traceId"] in ids
            ]
        else:
            service = json.loads(text.partition("service.name = ")[2].partition(" |")[0])
            own = [one for one in inside if one["resource"]["attributes"]["service.name"] == service]
            rows = [[{"field": "traceId", "value": one}] for one in dict.fromkeys(one["traceId"] for one in own)]
        rows = [[*row, {"field": "@ptr", "value": "x"}] for row in rows[: self.most_results]]
        return 200, {"status": status, "results": rows, **self.scanned(len(inside))}

    def scanned(self, count):
        """What a query says about itself: so many bytes a span, or nothing."""
        return {"statistics": {"bytesScanned": float(count * self.span_bytes)}} if self.span_bytes else {}


def invalid(message):
    return {"__type": "InvalidRequestException", "message": message}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        """Be quiet."""

    def do_POST(self):  # noqa: C901, PLR0912 - a list of faults
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        target = self.headers.get("X-Amz-Target", "")
        path = self.path.strip("/")
        operation = target.partition(".")[2] or {"Traces": "BatchGetTraces", "TraceSummaries": "GetTraceSummaries"}.get(
            path, path
        )
        with server.lock:
            server.calls[operation] += 1
            server.requests.append((operation, body))
            server.headers.append(dict(self.headers))
            fault = server.faults(operation, body)
            if fault == "endless":
                body = {name: value for name, value in body.items() if name != "NextToken"}
            if fault in (None, "loop", "unprocessed", "endless"):
                status, answer = server.answer(operation, body)
        if fault == "throttle":
            return self.reply(429, {"__type": "ThrottledException", "message": "Rate exceeded"})
        if fault == "error":
            return self.reply(500, {"__type": "InternalFailure", "message": "oops"})
        if fault == "expired":
            secret = self.headers.get("X-Amz-Security-Token", "") + " " + self.headers.get("Authorization", "")
            return self.reply(
                403, {"__type": "ExpiredTokenException", "message": f"The security token {secret} has expired"}
            )
        if fault == "html":
            return self.send(200, HTML)
        if fault == "deep":
            return self.send(200, b'{"Traces":[],"TraceSummaries":[],"more":' + b"[" * 2_000_000)
        if fault == "deep error":
            return self.send(400, b'{"message":' + b"[" * 2_000_000)
        if fault == "odd":
            return self.send(200, b'{"Traces":[7],"TraceSummaries":[7],"RetrievalStatus":"COMPLETE"}')
        if fault == "half":
            return self.send(200, b'{"Traces":[{"Id":"1-')
        if fault == "cut":
            return self.send(200, b'{"Traces":[', length=5000)
        if fault == "reset":
            with contextlib.suppress(OSError):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            self.close_connection = True
            return None
        if fault == "loop" and status == 200 and operation in FIRST_TOKENS:
            answer["NextToken"] = body.get("NextToken", FIRST_TOKENS[operation])
        if fault == "endless" and status == 200:
            answer["NextToken"] = f"n{server.calls[operation]}"
        if fault == "unprocessed" and answer.get("Traces"):
            late = answer["Traces"].pop(0)
            server.answered[late["Id"]] -= 1
            answer["UnprocessedTraceIds"].append(late["Id"])
        return self.reply(status, answer)

    def reply(self, status, answer):
        self.send(status, json.dumps(answer, separators=(",", ":")).encode())

    def send(self, status, body, length=None):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length or len(body)))
        self.send_header("x-amzn-RequestId", "request-1")
        self.end_headers()
        self.wfile.write(body)
        if length:
            self.close_connection = True


class Schedule:
    """Faults at random, the same ones for the same seed; what expires stays expired."""

    KINDS = ("throttle", "error", "html", "odd", "half", "cut", "reset", "loop", "unprocessed")

    def __init__(self, seed, share=0.35, deadly=0.02):
        self.random = random.Random(seed)
        self.share = self.random.choice([0.1, share, 0.6])
        self.deadly = deadly
        self.is_expired = False

    def __call__(self, *_):
        if self.is_expired or self.random.random() < self.deadly:
            self.is_expired = True
            return "expired"
        return self.random.choice(self.KINDS) if self.random.random() < self.share else None
