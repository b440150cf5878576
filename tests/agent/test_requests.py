"""The agent's door: who may ask, what, and how errors come back."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_mlops.capture import agent_client
from jupyter_mlops.capture.agent_client import Pointer
from jupyter_mlops.capture.delivery_key import delivery_key
from jupyter_mlops.errors import (
    AgentUnavailable,
    MlopsError,
    NotFoundError,
    ServiceError,
    UsageError,
)
from jupyter_mlops.project import Project

from .living import agent_process, config_of, gone, kill, until

ROUTES = ["/v1/hello", "/v1/status", "/v1/deliver", "/v1/wake", "/v1/call", "/v1/warm"]
ROUTES += ["/v1/runner", "/v1/shutdown", "/x"]
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]


@pytest.fixture
def pointer(living: Project) -> Pointer:
    """The pointer of a running agent."""
    agent_client.ensure(living, config_of(living))
    found = agent_client.read_pointer(living)
    assert found is not None
    return found


def ask(
    pointer: Pointer, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, Any]:
    """One raw request, with nothing that the client would add."""
    if pointer.socket is None:
        connection = http.client.HTTPConnection("127.0.0.1", pointer.port, timeout=20)
    else:
        connection = http.client.HTTPConnection("localhost", timeout=20)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(20)
        connection.sock.connect(pointer.socket)
    try:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body, headers=given)
        response = connection.getresponse()
        data = response.read()
        return response.status, json.loads(data) if data else None
    finally:
        connection.close()


def test_hello_and_status(living: Project, pointer: Pointer) -> None:
    greeting = agent_client.hello(living)
    assert greeting == {
        "protocol": agent_client.PROTOCOL,
        "version": pointer.version,
        "interpreter": sys.executable,
        "pid": pointer.pid,
        "project": str(living.root),
        "draining": False,
        "delivers": delivery_key(os.environ),
    }
    status = agent_client.call(living, "/v1/status")
    assert status["problems"] == []
    assert status["delivery"]["waiting"] == 0
    assert status["ends_in"] > 0


def test_errors_keep_their_class(living: Project, pointer: Pointer) -> None:
    with pytest.raises(UsageError, match="no operation 'dance'") as usage:
        agent_client.call_op(living, "dance")
    assert "set_alias" in str(usage.value.hint)
    with pytest.raises(UsageError, match="unexpected keyword"):
        agent_client.call_op(living, "register", {"colour": "red"})
    with pytest.raises(NotFoundError):
        agent_client.call(living, "/v1/nowhere")
    with pytest.raises(UsageError, match="absolute path of a Python"):
        agent_client.call_op(living, "hello", interpreter="python3")


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'{"op": 1}', b'{"op": "hello", "args": []}', b"[" * 100_000,
     b'{"op": "hello", "timeout": -1}', b'{"op": "hello", "timeout": "1"}', b"\xff"],
)  # fmt: skip
def test_bad_bodies_are_refused_with_a_reason(
    living: Project, pointer: Pointer, body: bytes
) -> None:
    status, data = ask(pointer, "POST", "/v1/call", body, Content_Type="application/json")
    assert (status, data["reason"]) == (400, "usage")
    assert data["message"]
    assert agent_client.hello(living)["pid"] == pointer.pid


def test_a_form_is_not_json(pointer: Pointer) -> None:
    status, data = ask(pointer, "POST", "/v1/shutdown", b"{}", Content_Type="text/plain")
    assert (status, data["message"]) == (400, "the body must be application/json")


def test_a_body_too_large_is_cut_off(living: Project, pointer: Pointer) -> None:
    with pytest.raises((AgentUnavailable, MlopsError)):
        agent_client.call_op(living, "hello", {"x": "x" * 2_000_000})
    assert agent_client.hello(living)["pid"] == pointer.pid


def test_tcp_where_the_socket_path_is_too_long(
    living: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / ("long" * 30)))
    agent_client.ensure(living, config_of(living))
    pointer = agent_client.read_pointer(living)
    assert pointer is not None
    assert pointer.socket is None
    assert len(str(pointer.token)) >= 32
    (listening,) = [
        c for c in psutil.Process(pointer.pid).net_connections("inet") if c.status == "LISTEN"
    ]
    assert listening.laddr == ("127.0.0.1", pointer.port)
    assert agent_client.hello(living)["pid"] == pointer.pid
    assert agent_client.call_op(living, "hello")["pid"] > 0
    bearer = f"Bearer {pointer.token}"
    attempts: list[dict[str, str]] = [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer " + "x" * 43},
        {"Authorization": bearer[:-1]},
        {"Authorization": f"token {pointer.token}"},
        {"Authorization": bearer, "Host": "evil.example"},
        {"Authorization": bearer, "Host": f"127.0.0.1.evil.example:{pointer.port}"},
    ]
    for route, method, headers in itertools.product(ROUTES, METHODS, attempts):
        body = None if method in ("GET", "HEAD") else b"{}"
        status, _ = ask(pointer, method, route, body, Content_Type="application/json", **headers)
        assert status == 403, (route, method, headers)
    assert agent_client.hello(living)["pid"] == pointer.pid


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")
def test_another_user_is_refused_at_the_socket(living: Project, pointer: Pointer) -> None:
    # The folder's mode keeps others out already; with that opened, the peer check still does.
    path = Path(str(pointer.socket))
    opened = [path, *[p for p in path.parents if p != Path("/")]]
    modes = {p: p.stat().st_mode for p in opened}
    for p in opened:
        p.chmod(0o777)
    try:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setgid(65534)
                os.setuid(65534)
                status, _ = ask(pointer, "GET", "/v1/hello")
                os.write(write, str(status).encode())
            finally:
                os._exit(0)
        os.close(write)
        os.waitpid(child, 0)
        with os.fdopen(read, "rb") as answer:
            assert answer.read() == b"403"
    finally:
        for p, mode in modes.items():
            p.chmod(mode)


def test_a_worker_that_crashed_is_replaced(living: Project, pointer: Pointer) -> None:
    first = agent_client.call_op(living, "hello")["pid"]
    assert agent_client.call_op(living, "hello")["pid"] == first  # kept warm
    kill(psutil.Process(first))
    second = agent_client.call_op(living, "hello")["pid"]
    assert second != first
    psutil.Process(second).suspend()
    with pytest.raises(ServiceError, match="hello did not finish within 1 s and was ended"):
        agent_client.call_op(living, "hello", timeout=1.0)
    until(lambda: not psutil.pid_exists(second) or psutil.Process(second).status() == "zombie")
    assert agent_client.call_op(living, "hello")["pid"] not in (first, second)


def test_a_python_without_this_package_cannot_be_a_worker(
    living: Project, pointer: Pointer, tmp_path: Path
) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nPYTHONPATH= exec {sys.executable} -I -S "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(ServiceError, match=r"the worker under .*python ended") as caught:
        agent_client.call_op(living, "hello", interpreter=str(bare))
    assert "worker.log" in str(caught.value.hint)
    assert "No module named" in (living.agent / "worker.log").read_text()


def test_workers_end_with_an_agent_that_was_killed(living: Project, pointer: Pointer) -> None:
    worker = psutil.Process(agent_client.call_op(living, "hello")["pid"])
    kill(agent_process(living))
    until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)


def test_it_finishes_what_is_in_hand_before_it_ends(living: Project, pointer: Pointer) -> None:
    agent, worker = (
        agent_process(living),
        psutil.Process(agent_client.call_op(living, "hello")["pid"]),
    )
    worker.suspend()  # so that the operation is in hand for as long as this test wants
    results: list[Any] = []
    asking = threading.Thread(target=lambda: results.append(agent_client.call_op(living, "hello")))
    asking.start()
    until(lambda: agent_client.call(living, "/v1/status")["workers"][0]["busy"])
    agent.terminate()
    until(lambda: agent_client.hello(living)["draining"])
    with pytest.raises(AgentUnavailable, match="about to end"):
        agent_client.call_op(living, "hello")
    worker.resume()
    asking.join(60)
    assert [result["pid"] for result in results] == [worker.pid]
    until(lambda: gone(agent))


def test_one_that_ends_takes_no_more_operations(living: Project, pointer: Pointer) -> None:
    agent_client.call(living, "/v1/shutdown", {"drain": True})
    with pytest.raises(AgentUnavailable):
        agent_client.call_op(living, "hello")
