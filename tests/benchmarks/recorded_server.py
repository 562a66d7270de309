"""The X-Ray of the tests (``tests/aws/fake_xray.py``) with traces of 20 recorded segments, under any id.

It puts every answer together from documents when it is asked, as X-Ray does; ``xray_server`` has them ready.  Run as a
program it prints its port and serves until its input ends; GET /cpu answers with the CPU seconds of its process.
"""

import json
import sys
import threading
import time
from pathlib import Path

from xray_server import TEMPLATES, templates

sys.path.append(str(Path(__file__).parents[1] / "aws"))

from fake_xray import FakeXRay, Trace, _Handler


class Recorded:
    """Traces by any id, made when they are asked for."""

    def __init__(self):
        self.texts = [
            [entry["Document"] for entry in json.loads(text)["Segments"]] for text in map(bytes.decode, templates())
        ]

    def __contains__(self, xray_id):
        return True

    def __getitem__(self, xray_id):
        number = int(xray_id[-24:], 16)
        texts = self.texts[number % TEMPLATES]
        name = f"{number:010x}"
        trace = Trace(number, segments=[text.replace("TRACE", xray_id).replace("@" * 10, name) for text in texts])
        trace.id = xray_id
        return trace


class Handler(_Handler):
    def do_GET(self):  # noqa: N802 - as http.server calls it
        self.send(200, json.dumps(time.process_time()).encode())


def main():
    server = FakeXRay(page=5)
    server.traces = Recorded()
    server.RequestHandlerClass = Handler
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
