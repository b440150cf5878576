"""MLflow's surroundings while we use it: environment, tracking address, errors.

MLflow reads its settings from environment variables and one global address; both are put back
afterwards, because the process may be somebody's notebook.
"""

from __future__ import annotations

import contextlib
import math
import os
import ssl
import sys
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from ..config import public_uri
from ..errors import MlopsError, NotFoundError, ServiceError, UsageError

__all__ = ["as_installed", "check_server", "mlflow_settings", "translate", "using"]

brought = False  # whether MLflow is in this process because of us, and not of the person

_ALWAYS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Both would write into the output of a command.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
_RETRYABLE = {
    "ABORTED",
    "DATA_LOSS",
    "DEADLINE_EXCEEDED",
    "INTERNAL_ERROR",
    "IO_ERROR",
    "REQUEST_LIMIT_EXCEEDED",
    "RESOURCE_EXHAUSTED",
    "TEMPORARILY_UNAVAILABLE",
}
_REFUSED = {"CUSTOMER_UNAUTHORIZED", "PERMISSION_DENIED", "UNAUTHENTICATED"}


def mlflow_settings(timeout: float, env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to set: quick to give up, silent, no telemetry.

    By default MLflow retries a dead server for minutes.  What the person has set is left alone.
    """
    wanted = {
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(max(1, math.ceil(timeout))),
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "GIT_PYTHON_REFRESH": "quiet",  # MLflow imports GitPython, which complains without git
    }
    return _ALWAYS | {name: value for name, value in wanted.items() if name not in env}


@contextlib.contextmanager
def using(uri: str | None, timeout: float) -> Iterator[None]:
    """Use MLflow with our settings and ``uri`` as its address; put everything back afterwards."""
    settings = mlflow_settings(timeout, os.environ)
    before = {name: os.environ.get(name) for name in (*settings, "MLFLOW_TRACKING_URI")}
    with contextlib.ExitStack() as stack:
        stack.callback(_restore, before)
        os.environ.update(settings)
        # What MLflow uses that its own libraries deprecate is nothing that we or they could change.
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", DeprecationWarning)
        global brought
        brought = brought or "mlflow" not in sys.modules
        tracking: Any = import_module("mlflow")
        if uri is not None:
            address = tracking.get_tracking_uri() if tracking.is_tracking_uri_set() else None
            # The stores ask for the global address when they resolve ``models:/`` and artifacts.
            stack.callback(tracking.set_tracking_uri, address)
            tracking.set_tracking_uri(uri)
        yield


@contextlib.contextmanager
def as_installed() -> Iterator[None]:
    """Save models without MLflow's comparison of their requirements with what is installed.

    Ours are pins of what is installed here.  To find that out MLflow reads the metadata of every
    package there is, which takes as long as the saving itself.
    """
    module: Any = import_module("mlflow.utils.environment")
    name = "warn_dependency_requirement_mismatches"
    check = getattr(module, name, None)
    if check is None:  # another version of MLflow, which does as it likes
        yield
        return
    setattr(module, name, lambda *_, **__: None)
    try:
        yield
    finally:
        setattr(module, name, check)


def check_server(uri: str, timeout: float) -> None:
    """Raise ``ServiceError`` unless the HTTP server at ``uri`` answers within ``timeout`` seconds.

    Any answer counts but a gateway's 502, 503 and 504: an older server, or one behind a login, has
    no ``/health``.  Does nothing for addresses that are not HTTP.
    """
    if urlsplit(uri).scheme not in ("http", "https"):
        return
    shown = public_uri(uri)
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        f"{shown.rstrip('/')}/health", headers={"User-Agent": "jupyter-mlops"}
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout):  # noqa: S310
            return
    except urllib.error.HTTPError as error:
        error.close()
        if error.code not in (502, 503, 504):
            return
        why = f"answered {error.code}"
    except urllib.error.URLError as error:
        # A certificate that is not accepted here may be by MLflow, which has settings for it.
        if isinstance(error.reason, ssl.SSLError):
            return
        why = f"did not answer: {error.reason}"
    except TimeoutError:
        why = f"did not answer within {timeout:g} s"
    except (OSError, ValueError) as error:
        why = f"did not answer: {error}"
    raise _service(shown, why)


def translate(error: Exception, uri: str) -> MlopsError:
    """Return our error for one that MLflow, its HTTP client or its database raised.

    ``ServiceError`` where trying again later can help, ``NotFoundError`` and ``UsageError`` where
    it was refused.
    """
    if isinstance(error, MlopsError):
        return error
    shown = public_uri(uri)
    text = _short(error)
    code = getattr(error, "error_code", None)
    if "out-of-date database schema" in text:
        return ServiceError(
            f"{shown} was made by another version of MLflow",
            hint=f"Back it up, then: mlflow db upgrade {shown}",
        )
    if code is None or code in _RETRYABLE or "sqlite3." in text:
        return _service(shown, f"failed: {text}")
    if code in _REFUSED:
        return ServiceError(
            f"the tracking server {shown} refused: {text}",
            hint="Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
            "MLFLOW_TRACKING_TOKEN.",
        )
    if code in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"):
        return NotFoundError(text)
    return UsageError(f"MLflow refused: {text}")


def _restore(before: Mapping[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _service(shown: str, why: str) -> ServiceError:
    return ServiceError(
        f"the tracking server {shown} {why}"
        if shown.startswith(("http:", "https:"))
        else f"the tracking store {shown} {why}",
        hint="Nothing is lost: runs are kept here and delivered when it answers "
        "(jupyter mlops sync tries at once).",
        uri=shown,
    )


def _short(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines[:2]) or type(error).__name__
    return text if len(text) <= 400 else text[:397] + "..."
