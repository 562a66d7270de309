"""A JupyterLab of its own on 127.0.0.1: no configuration, no news, no network, gone with the test."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest

SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},  # its toast eats clicks
    "notebook-extension/tracker": {"windowingMode": "none"},  # outputs out of sight are there too
    "docmanager-extension/plugin": {"autosave": False},
}
IDLE = "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"


@contextlib.contextmanager
def lab(root, private):
    """Yield the address of a JupyterLab over a folder, with its token as a query."""
    pytest.importorskip("jupyterlab", reason="jupyterlab is not installed")
    places = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "run"}
    places |= {"IPYTHONDIR": "ipython", "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "spaces"}
    where = {"HOME": str(private), **{name: str(private / folder) for name, folder in places.items()}}
    for name, settings in SETTINGS.items():
        file = private / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    options = ["--no-browser", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", "--allow-root"]
    options += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}", "--expose-app-in-browser"]
    options += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.news_url=None"]
    options += ["--LabApp.extension_manager=readonly"]
    house = str(Path(__file__).parents[2])
    env = {**os.environ, **where, "PYDEVD_DISABLE_FILE_VALIDATION": "1", "PYTHONPATH": house}
    with (private / "lab.log").open("w") as log:
        command = [sys.executable, "-m", "jupyterlab", *options]
        server = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            _await(server, f"http://127.0.0.1:{port}/api/status?token={token}", private / "lab.log")
            yield f"http://127.0.0.1:{port}", token
        finally:
            os.killpg(server.pid, signal.SIGTERM)  # takes the kernels along
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:  # a busy machine: it asks its kernels one by one
                os.killpg(server.pid, signal.SIGKILL)
                server.wait(5)


def _await(server, address, log):
    begun = time.monotonic()
    while True:
        try:
            urllib.request.urlopen(address, timeout=2).close()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() - begun < 180, log.read_text()
            time.sleep(0.1)
        else:
            return


def write_notebook(path, *cells):
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.cells = [nbformat.v4.new_code_cell(cell, id=f"cell-{k}") for k, cell in enumerate(cells)]
    nbformat.write(notebook, path)


class Notebook:
    """A page with one notebook open, and what it said and asked for beyond this machine."""

    def __init__(self, browser, address, token):
        self.address, self.token = address, token
        self.context = browser.new_context(viewport={"width": 1500, "height": 1100})
        self.page = self.context.new_page()
        self.messages, self.strangers = [], []
        self.page.on("console", lambda said: self.messages.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.messages.append(f"page error: {error.stack or error}"))
        self.page.on("request", self._note)

    def _note(self, request):
        if not request.url.startswith((self.address, self.address.replace("http", "ws"), "data:", "blob:")):
            self.strangers.append(request.url)

    def open(self, name, *, with_kernel=True):
        space = secrets.token_hex(4)
        self.page.goto(f"{self.address}/lab/workspaces/{space}/tree/{name}?reset&token={self.token}")
        self.page.locator(".jp-NotebookPanel").wait_for(timeout=180_000)
        if with_kernel:
            self.page.wait_for_function(IDLE, timeout=180_000)
        return self.page

    def command(self, name, **options):
        self.page.evaluate("([name, options]) => window.jupyterapp.commands.execute(name, options)", [name, options])

    def run(self, cell):
        self.page.evaluate(f"() => {{ window.jupyterapp.shell.currentWidget.content.activeCellIndex = {cell} }}")
        self.command("notebook:run-cell")
        return self.page.locator(".jp-Cell").nth(cell).locator(".jp-OutputArea-output")

    def cells(self):
        return self.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets.length")
