"""An X-Ray on loopback that does nothing but answer: traces of 20 recorded segments, under any id, as fast as it can.

Run as a program it prints its port and serves until its input ends; GET /cpu answers with the CPU seconds that its
process has used so far.
"""

import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

RECORDING = Path(__file__).parents[2] / "datasets" / "checkout-xray" / "traces.jsonl.zst"
SEGMENTS = 20
TEMPLATES = 16
_SPAN_ID = re.compile(r"(?<![0-9a-f-])[0-9a-f]{16}(?![0-9a-f])")
_NUMBER = b"@" * 10  # of the trace, in front of six digits of the span
_BATCH = "/Traces"
_XRAY = b'{"Destination":"XRay","Status":"ACTIVE"}'  # what else a pull asks about


def trace_id(number):
    return f"1-{1_750_000_000:08x}-{number:024x}"


def blanked(texts):
    """Return documents with blanks for the numbers in their ids."""
    names = {}

    def name(found):
        return _NUMBER.decode() + f"{names.setdefault(found[0], len(names)):06x}"

    return [_SPAN_ID.sub(name, text) for text in texts]


def templates():
    """Return traces of the bundled recording, filled up to so many segments, with blanks for their ids."""
    from tracekit.pull.folder import read_lines  # noqa: PLC0415 - who only asks needs only the ids

    recorded = [trace for line in read_lines(RECORDING) for trace in json.loads(line)["Traces"]]
    made = []
    while len(made) < TEMPLATES:
        documents = []
        while len(documents) < SEGMENTS:
            trace = recorded.pop()
            documents += [text.replace(trace["Id"], "TRACE") for text in (s["Document"] for s in trace["Segments"])]
        texts = blanked(documents[:SEGMENTS])
        segments = [{"Id": json.loads(text)["id"], "Document": text} for text in texts]
        trace = {"Id": "TRACE", "Duration": 0.5, "LimitExceeded": False, "Segments": segments}
        made.append(json.dumps(trace, separators=(",", ":")).encode())
    return made


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    templates = ()

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        self.answer(self.traces(asked["TraceIds"]) if self.path == _BATCH else _XRAY)

    def do_GET(self):
        self.answer(json.dumps(time.process_time()).encode())

    def answer(self, body):
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.wfile.write(head.encode() + body)

    def traces(self, ids):
        numbers = [int(one[-24:], 16) for one in ids]
        traces = [
            self.templates[number % TEMPLATES].replace(b"TRACE", one.encode()).replace(_NUMBER, b"%010x" % number)
            for one, number in zip(ids, numbers, strict=True)
        ]
        return b'{"Traces":[' + b",".join(traces) + b'],"UnprocessedTraceIds":[]}'

    def log_message(self, *_):
        """Say nothing."""


def main():
    Handler.templates = templates()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
