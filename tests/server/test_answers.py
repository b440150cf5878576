"""Which status an error gets, and that no secret gets out with it."""

from __future__ import annotations

import errno
import json
import os

import pytest

from jupyter_mlops import errors
from jupyter_mlops.server.answers import error_json, plain, redact, status_of

STATUSES = {
    "UsageError": 400,
    "NotebookError": 400,
    "ParameterError": 400,
    "PipelineError": 400,
    "Undigested": 400,
    "Refused": 400,
    "NotFoundError": 404,
    "ConflictError": 409,
    "GateRefusedError": 409,
    "ReplayDiffersError": 409,
    "RunError": 422,
    "UntrustedError": 403,
    "MissingDependencyError": 501,
    "CorruptError": 500,
    "ProjectError": 500,
    "ServiceError": 503,
    "AgentUnavailable": 503,
    "MlopsError": 500,
}


def test_every_error_of_the_tree_has_a_status() -> None:
    assert {name: status_of(getattr(errors, name)("x")) for name in errors.__all__} == STATUSES


@pytest.mark.parametrize(
    ("number", "status"),
    [(errno.EACCES, 403), (errno.EROFS, 403), (errno.ENOSPC, 507), (errno.EIO, 500)],
)
def test_a_project_that_cannot_be_written_says_why(number: int, status: int) -> None:
    error = errors.ProjectError(f"it cannot be written: {os.strerror(number)}")
    error.__cause__ = OSError(number, os.strerror(number))
    assert status_of(error) == status
    # Over the agent's wire only the words arrive.
    assert status_of(errors.MlopsError.from_dict(error.to_dict())) == status


def test_a_folder_that_can_be_no_project_is_the_callers_mistake() -> None:
    assert status_of(errors.ProjectError("/home/ada cannot be a project: ...", root="/")) == 400


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("cannot reach https://ada:hunter22@mlflow.example:5000/api", "hunter22"),
        ("postgresql://u:p4ssw0rd@db/x failed", "p4ssw0rd"),
        ("GET /lab?token=0123456789abcdef&x=1", "0123456789abcdef"),
        ("header Authorization: Bearer abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz"),
        ("Authorization: token 0123456789abcdef0123456789", "0123456789abcdef0123456789"),
        ("{'MLFLOW_TRACKING_PASSWORD': 'hunter22'}", "hunter22"),
        ("api_key=sk-12345", "sk-12345"),
        ("it said my-own-token again", "my-own-token"),
    ],
)
def test_secrets_are_taken_out(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in redact(text, "my-own-token")
    error = errors.ServiceError(text, hint=text, where={"list": [text]})
    assert secret not in json.dumps(error_json(error, "my-own-token"))


@pytest.mark.parametrize(
    "text",
    [
        "no run 01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "the deployment needs a token; see its help",
        "http://127.0.0.1:5000 did not answer",
        "taxi-tips@champion",
    ],
)
def test_plain_words_stay(text: str) -> None:
    assert redact(text, "") == text


def test_numbers_that_json_cannot_express_become_null() -> None:
    data = plain({"loss": float("nan"), "best": [float("inf"), 1.5], 3: ("a", True, None)})
    assert data == {"loss": None, "best": [None, 1.5], "3": ["a", True, None]}
    assert json.dumps(data, allow_nan=False)
    assert plain({"path": os}) == {"path": str(os)}
