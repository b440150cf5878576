"""A real Jupyter server with the extension, a token, and XSRF checks on."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from .contract import check_answer

REPOSITORY = Path(__file__).resolve().parents[2]
ENABLE = REPOSITORY / "jupyter-config" / "server-config" / "jupyter_mlops.json"
API = "/mlops/api/v1/"
BASE = "/base"

_CONFIG = """
import mlops_probe

c.ServerApp.ip = "127.0.0.1"
c.ServerApp.port = 0
c.ServerApp.base_url = "/base/"
c.ServerApp.open_browser = False
c.ServerApp.allow_root = True
c.ServerApp.authorizer_class = mlops_probe.RecordingAuthorizer
c.ServerApp.jpserver_extensions = {
    "mlops_probe": True, "jupyterlab": False, "notebook": False,
    "notebook_shim": False, "jupyter_lsp": False, "jupyter_server_terminals": False,
}
c.MlopsApp.poll_interval = 0.1
c.MlopsApp.session_interval = 0.2
"""


@dataclass
class Answer:
    """An HTTP answer: ``data`` is its JSON, ``text`` what was sent."""

    status: int
    headers: Any
    text: str

    @property
    def data(self) -> Any:
        return json.loads(self.text)


@dataclass
class Server:
    """A running server; ``ask`` sends one request, with the token unless told otherwise.

    Every answer of the API is held against the OpenAPI document, whatever the test is about.
    """

    process: subprocess.Popen[bytes]
    root: Path
    probe: Path
    log: Path
    token: str
    port: int = 0
    opener: Any = field(default_factory=lambda: urllib.request.build_opener(_NoRedirect))

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, str] | str | None = None,
        headers: dict[str, str] | None = None,
        token: bool = True,
        raw: bytes | None = None,
        prefix: str = API,
    ) -> Answer:
        """``body`` is sent as JSON, ``raw`` as it is; ``query`` is encoded unless it is a text."""
        url = f"http://127.0.0.1:{self.port}{BASE}{prefix}{urllib.parse.quote(path)}"
        if query:
            url += "?" + (query if isinstance(query, str) else urllib.parse.urlencode(query))
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, method=method)
        if token:
            request.add_header("Authorization", f"token {self.token}")
        if data is not None:
            request.add_header("Content-Type", "application/json")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with self.opener.open(request, timeout=120) as response:
                answer = Answer(response.status, response.headers, response.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                answer = Answer(error.code, error.headers, error.read().decode())
        if prefix == API and method != "HEAD":
            check_answer(method, path, answer.status, answer.data)
        return answer

    def get(self, route: str, /, **query: str) -> Answer:
        return self.ask("GET", route, query=query)

    def post(self, route: str, /, **body: Any) -> Answer:
        return self.ask("POST", route, body)

    def asked(self) -> list[list[str]]:
        """What the authorizer was asked since the last call, about this extension."""
        file = self.probe / "asked.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return [entry for entry in map(json.loads, lines) if "/mlops/" in entry[1]]

    @property
    def routes(self) -> list[dict[str, Any]]:
        """The routes of this extension, from inside the running server."""
        found = json.loads((self.probe / "routes.json").read_text())
        ours = [route for route in found if API in route["pattern"]]
        assert ours, self.log.read_text()
        return ours


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait until ``condition()`` is true and return what it returned; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"nothing came within {seconds:g} s"
        time.sleep(0.05)


@contextlib.contextmanager
def running_server(folder: Path, root: Path, **environment: str) -> Iterator[Server]:
    """Start a server for ``root``; it and its kernels have ended when this returns."""
    config, probe, runtime = folder / "config", folder / "probe", folder / "runtime"
    for path in (config, probe, runtime):
        path.mkdir(parents=True)
    (config / "jupyter_server_config.py").write_text(_CONFIG)
    # Enabled as an installed wheel enables it.
    (config / "jupyter_server_config.d").mkdir()
    shutil.copy(ENABLE, config / "jupyter_server_config.d")
    token = "secret-" + os.urandom(16).hex()
    paths = [str(REPOSITORY), str(Path(__file__).parent)]
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "JUPYTER_CONFIG_DIR": str(config),
        "JUPYTER_TOKEN": token,
        "MLOPS_PROBE": str(probe),
        **environment,
    }
    log = folder / "server.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyter_server", f"--ServerApp.root_dir={root}"],
            cwd=root,
            env=env,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(process, root, probe, log, token)
    info = Path(env["JUPYTER_RUNTIME_DIR"]) / f"jpserver-{process.pid}.json"
    try:
        until(lambda: process.poll() is not None or (probe / "routes.json").exists(), 60)
        assert process.poll() is None, log.read_text()
        server.port = json.loads(info.read_text())["port"]
        assert server.routes
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="session")
def server(
    _private_environment: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One server for the tests that only read or are refused; its agent is turned off.

    It is started in the person's home folder, as many are.
    """
    folder = tmp_path_factory.mktemp("server")
    root = folder / "root"
    root.mkdir()
    (folder / "root-secret").mkdir()
    with running_server(folder, root, HOME=str(root)) as running:
        yield running


@pytest.fixture
def place(server: Server, request: pytest.FixtureRequest) -> Path:
    """A fresh project folder, without state, below the server's root; named after the test."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)[:60]
    folder = server.root / f"{name}-{os.urandom(3).hex()}"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("")
    return folder


def job_ended(server: Server, answer: Any, kind: str) -> dict[str, Any]:
    """The job that an answer says was started, when it has ended."""
    assert answer.status == 202, answer.text
    job = answer.data["job"]
    assert (job["kind"], job["state"]) == (kind, "running")

    def done() -> Any:
        found = server.get(f"jobs/{job['id']}").data["job"]
        return found if found["state"] != "running" else None

    ended: dict[str, Any] = until(done, 120)
    return ended
