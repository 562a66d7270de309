"""An account on loopback that answers over HTTP what its records say: every service of JSON that an audit asks."""

import json
import re
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import botocore.session
import pandas as pd

from tracekit.aws.operations import OPERATIONS

SERVICES = ("xray", "eks", "apigateway", "apigatewayv2", "lambda", "ecs", "codedeploy", "cloudtrail", "logs")


def _routes():
    """Method, pattern of the path or the target, and operation, of everything that is served."""
    session = botocore.session.get_session()
    routes, targets = [], {}
    for service in SERVICES:
        model = session.get_service_model(service)
        for name in model.operation_names:
            operation = f"{service}:{re.sub(r'[0-9]{8}$', '', name)}"
            if operation not in OPERATIONS:
                continue
            about = model.operation_model(name)
            if "targetPrefix" in model.metadata:
                targets[f"{model.metadata['targetPrefix']}.{name}"] = (operation, about)
            else:
                path = re.sub(r"\{(\w+)\+?\}", r"(?P<\1>[^/]+)", about.http["requestUri"].partition("?")[0])
                routes.append((about.http["method"], re.compile(path.rstrip("/") + "/?"), operation, about))
    return routes, targets


ROUTES, TARGETS = _routes()


def wire(shape, value):
    """A value with the names that its members have on the wire."""
    if shape.type_name == "structure" and isinstance(value, dict):
        return {
            shape.members[name].serialization.get("name", name): wire(shape.members[name], one)
            for name, one in value.items()
            if name in shape.members
        }
    if shape.type_name == "list":
        return [wire(shape.member, one) for one in value]
    return value


def is_same(asked, recorded):
    """Whether a parameter is the one of the record; times are numbers on the wire."""
    if isinstance(asked, (int, float)) and isinstance(recorded, str):
        return asked == pd.Timestamp(recorded).timestamp()
    return asked == recorded or isinstance(asked, dict)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.reply({})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.reply(json.loads(body or b"{}"))

    def reply(self, asked):
        operation, about, named = self.operation()
        self.server.calls[operation] += 1
        names = {member.serialization.get("name", name): name for name, member in about.input_shape.members.items()}
        given = {names.get(name, name): value for name, value in (asked | named).items()}
        status, found = self.server.answer(operation, given)
        told = wire(about.output_shape, found) if status == 200 and isinstance(found, dict) else found
        data = told if isinstance(told, bytes) else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def operation(self):
        if target := self.headers.get("X-Amz-Target"):
            return (*TARGETS[target], {})
        path = urlsplit(self.path).path
        for method, pattern, operation, about in ROUTES:
            if method == self.command and (found := pattern.fullmatch(path)):
                return operation, about, {name: unquote(text) for name, text in found.groupdict().items()}
        raise AssertionError(f"nobody serves {self.command} {path}")

    def log_message(self, *_):
        """Be quiet."""


class FakeAccount(ThreadingHTTPServer):
    """Serves the records of an account, some results a page; ``faults`` answer in place of operations."""

    daemon_threads = True

    def __init__(self, answers, page=2):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers, self.page = answers, page
        self.calls, self.faults = Counter(), {}

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, operation, asked):
        if operation in self.faults:
            return self.faults[operation]
        _, _, holds, token_in, token_out, _ = OPERATIONS[operation]
        content = self.found(operation, asked)
        items = content.get(holds, [])
        if not isinstance(items, list) or operation == "xray:BatchGetTraces":
            return 200, content
        at = int(asked.get(token_in, "0"))
        more = {token_out: str(at + self.page)} if at + self.page < len(items) else {}
        return 200, {**content, holds: items[at : at + self.page], **more}

    def found(self, operation, asked):
        """What the record of this call holds; of traces, those that are asked for."""
        records = self.answers.of(operation)
        if operation == "xray:BatchGetTraces":
            traces = [one for call in records for one in call.content["Traces"] if one["Id"] in asked["TraceIds"]]
            return {"Traces": traces, "UnprocessedTraceIds": []}
        for one in records:
            if all(is_same(asked[name], value) for name, value in one.request.items() if name in asked):
                return one.content
        return {OPERATIONS[operation].key: []}
