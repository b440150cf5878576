"""Dead servers are known quickly, MLflow's errors come out as ours, nothing stays changed."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from jupyter_mlops.errors import MlopsError, NotFoundError, ServiceError, UsageError
from jupyter_mlops.integrations.mlflow_environment import (
    check_server,
    mlflow_settings,
    translate,
    using,
)
from jupyter_mlops.integrations.mlflow_tracking import connect


class Answers(BaseHTTPRequestHandler):
    code: ClassVar[int] = 200

    def do_GET(self) -> None:
        self.send_response(self.code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    http = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{http.server_address[1]}"
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that accepts and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def closed() -> Iterator[str]:
    """A port that refuses: bound and not listening."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.mark.parametrize("code", [200, 401, 404, 500])
def test_any_answer_is_an_answer(server: str, code: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(Answers, "code", code)
    check_server(server, 5.0)
    check_server(server + "/", 5.0)


@pytest.mark.parametrize("code", [502, 503, 504])
def test_a_gateway_without_a_server_behind_it(server: str, code: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(Answers, "code", code)
    with pytest.raises(ServiceError, match=str(code)):
        check_server(server, 5.0)


def test_a_server_that_refuses_or_is_silent(closed: str, silent: str) -> None:
    with pytest.raises(ServiceError, match="refused") as caught:
        check_server(closed.replace("//", "//me:secret@"), 5.0)
    assert "secret" not in str(caught.value)
    assert closed in str(caught.value)
    assert caught.value.hint
    with pytest.raises(ServiceError):
        check_server(silent, 0.2)
    check_server("sqlite:////no/such.db", 0.1)


def test_requests_to_a_dead_server_end_soon(silent: str, tmp_path: Path) -> None:
    backend = connect(silent, artifact_root=tmp_path, experiment_default="x", timeout=0.5)
    with pytest.raises(ServiceError):
        backend.find_run("01ABC")


def test_settings_of_the_person_are_kept() -> None:
    mine = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "7"}
    settings = mlflow_settings(2.5, mine)
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in settings
    assert settings["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "3"
    assert settings["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_environment_and_address_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    before = dict(os.environ)
    with pytest.raises(KeyError), using("sqlite:////tmp/a.db", 1.0):
        assert mlflow.get_tracking_uri() == "sqlite:////tmp/a.db"
        assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
        raise KeyError
    assert dict(os.environ) == before
    assert not mlflow.is_tracking_uri_set()


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        ("INTERNAL_ERROR", "boom", ServiceError),
        ("TEMPORARILY_UNAVAILABLE", "(sqlite3.OperationalError) database is locked", ServiceError),
        ("BAD_REQUEST", "(sqlite3.DatabaseError) disk I/O error", ServiceError),
        ("PERMISSION_DENIED", "no", ServiceError),
        ("RESOURCE_DOES_NOT_EXIST", "no such run", NotFoundError),
        ("INVALID_PARAMETER_VALUE", "bad name", UsageError),
    ],
)
def test_errors_come_out_as_ours(code: str, text: str, kind: type[MlopsError]) -> None:
    class MlflowException(Exception):
        error_code = code

    error = translate(MlflowException(text), "http://me:secret@host")
    assert type(error) is kind
    assert "secret" not in str(error)
    assert translate(error, "x") is error


def test_a_schema_of_another_version_says_what_to_do() -> None:
    error = translate(RuntimeError("Detected out-of-date database schema (found"), "sqlite:///a.db")
    assert error.hint is not None
    assert "mlflow db upgrade sqlite:///a.db" in error.hint
