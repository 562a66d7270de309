"""The line that a notebook shows while ``tk.listen`` receives."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

CELL = f"""
import sys, threading, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
import tracekit as tk
from otlp_client import in_protobuf, post
with tk.listen(port=0) as run:
    threading.Timer(0.1, post, (run, in_protobuf([(1, 1), (2, 2)]))).start()
    deadline = time.monotonic() + 20
    while run._ticker._shown.span_count < 2 and time.monotonic() < deadline:
        time.sleep(0.1)  # as while a child process runs
    post(run, in_protobuf([(3, 3)], status=2))
quiet = tk.listen(port=0, progress=False)
quiet.close()
"""


class Watching(NotebookClient):
    """Keeps the messages with displays."""

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] in {"display_data", "update_display_data"}:
            self.shown.append(msg["content"]["data"])
        return super().process_message(msg, cell, cell_index)


def test_a_line_below_the_cell_says_what_came():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    client = Watching(notebook, timeout=60, kernel_name="python3")
    client.shown = []
    client.execute()
    empty = "0 spans, 0 traces, 0 services, 0 errors"
    lines = [empty, "2 spans, 2 traces, 1 service, 0 errors", "3 spans, 3 traces, 1 service, 1 error"]
    assert client.shown == [{"text/plain": line, "text/html": line} for line in lines]
    (output,) = notebook.cells[0].outputs
    assert output["data"]["text/plain"] == lines[-1], "the last line stays in the notebook"
