"""The configuration: one frozen object, made once per command or kernel.

Precedence, lowest first: the defaults here, ``[tool.jupyter-mlops]`` in the project's
``pyproject.toml``, the environment (``JUPYTER_MLOPS_<NAME>``; ``MLFLOW_TRACKING_URI`` for the
tracking server, as MLflow itself reads it), then arguments.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints
from urllib.parse import urlsplit, urlunsplit

from .errors import UsageError

__all__ = ["Config", "absolute_uri", "is_local_uri", "load_config", "public_uri"]

_CAPTURE_LEVELS = ("minimal", "standard", "full")
_SNAPSHOT_INPUTS = ("auto", "never")
_LOCAL_HOSTS = {"127.0.0.1", "::1", "localhost"}
_LOCAL_SCHEMES = {"", "file", "sqlite"}
# Bare words that MLflow resolves to a service of somebody else.
_REMOTE_WORDS = {"databricks", "databricks-uc", "uc"}


@dataclass(frozen=True, slots=True)
class Config:
    """What may be configured.

    Attributes:
        tracking_uri: MLflow tracking and registry URI; ``None`` means the project's own
            ``.mlops/mlflow.db``.
        experiment: MLflow experiment for runs that name none; ``None`` means the project's name.
        capture: ``minimal`` (code, parameters, metrics, digests), ``standard`` or ``full``.
        agent: whether a background agent may be started; without one, the next command delivers.
        agent_idle: seconds without work after which the agent ends itself.
        delivery_timeout: seconds to wait for a tracking server before giving up on one attempt.
        model_size_limit: bytes; a larger model is named on the run but not kept.
        trust_pickle: whether models that only a pickle can hold are stored as one; whoever loads
            such a model runs the code in it.
        redact: whether secrets are replaced before anything is written.
        capture_outputs: whether a tracked cell's output (text, figures, tables) is kept.
        capture_inputs: whether digests of the frames, arrays and files that it reads are taken.
        output_limit: bytes kept of each output; what was cut off is named.
        snapshot_remote: where ``snapshots push`` and ``pull`` go when none is named: a folder, or
            any address fsspec knows (``s3://bucket/prefix``, ``gs://``, ``az://``, ``sftp://``).
        snapshot_reserve: the part of the disk that snapshots leave free, from 0 to 1.
        snapshot_inputs: ``auto`` keeps what tracked cells read as versions, ``never`` does not.
        snapshot_input_limit: bytes; a larger input is recorded by its digest only.
        snapshot_project_limit: bytes of the project's snapshots on disk; from there on inputs are
            recorded by their digests only.
        runner: whether `jupyter mlops run` is handed to a process that the agent has ready for it.
        warm: whether kernels may be forked from a process that has imported their modules.
        fork: whether headless runs may execute cells in such a fork without Jupyter's sockets.
        warm_modules: modules to import ahead in every such process, separated by commas.
        warm_idle: seconds without a kernel after which such a process ends itself.
        warm_memory: bytes; such a process that takes more ends itself.
        cache: whether steps of pipelines are taken from the step cache, and kept in it.
        cache_size: bytes that the step cache takes; what was used longest ago goes first.
        serve_body_limit: bytes; the largest request body a deployment reads.
        serve_row_limit: rows; the largest batch a deployment scores in one request.
        serve_read_timeout: seconds within which a client must have sent its whole request.
        serve_concurrency: requests in hand at once; more are answered 503.
    """

    tracking_uri: str | None = None
    experiment: str | None = None
    capture: str = "standard"
    agent: bool = True
    agent_idle: float = 600.0
    delivery_timeout: float = 10.0
    model_size_limit: int = 256 * 1024 * 1024
    trust_pickle: bool = False
    redact: bool = True
    capture_outputs: bool = True
    capture_inputs: bool = True
    output_limit: int = 1024 * 1024
    snapshot_remote: str | None = None
    snapshot_reserve: float = 0.1
    snapshot_inputs: str = "auto"
    snapshot_input_limit: int = 256 * 1000 * 1000
    snapshot_project_limit: int = 5 * 1000 * 1000 * 1000
    runner: bool = True
    warm: bool = True
    fork: bool = True
    warm_modules: str = ""
    warm_idle: float = 600.0
    warm_memory: int = 1024 * 1024 * 1024
    cache: bool = True
    cache_size: int = 2 * 1000 * 1000 * 1000
    serve_body_limit: int = 16 * 1024 * 1024
    serve_row_limit: int = 100_000
    serve_read_timeout: float = 10.0
    serve_concurrency: int = 64

    def with_(self, **changes: Any) -> Config:
        """Return a copy with ``changes`` (argument precedence: ``None`` leaves a value as it is).

        Raises ``UsageError`` for an unknown name or a value of the wrong type.
        """
        return _apply(self, {k: v for k, v in changes.items() if v is not None}, "argument")


def load_config(
    root: Path | None = None, env: Mapping[str, str] | None = None, **arguments: Any
) -> Config:
    """Return the configuration for the project at ``root``.

    Raises ``UsageError`` that names the source (file, variable or argument), the setting and what
    was wrong with it.
    """
    env = os.environ if env is None else env
    config = Config()
    if root is not None:
        config = _apply(config, _from_pyproject(root / "pyproject.toml"), "pyproject.toml")
    found = {}
    for field in fields(Config):
        value = env.get(f"JUPYTER_MLOPS_{field.name.upper()}")
        if value is not None and value != "":
            found[field.name] = value
    config = _apply(config, found, "environment")
    if env.get("MLFLOW_TRACKING_URI") and "tracking_uri" not in found:
        config = replace(config, tracking_uri=env["MLFLOW_TRACKING_URI"])
    return config.with_(**arguments)


def is_local_uri(uri: str) -> bool:
    """Whether a tracking URI stays on this machine: a file, SQLite, or a loopback address."""
    parts = urlsplit(uri)
    if uri in _REMOTE_WORDS:
        return False
    if parts.scheme.split("+")[0] in _LOCAL_SCHEMES:
        return True
    return parts.scheme in {"http", "https"} and (parts.hostname or "") in _LOCAL_HOSTS


def public_uri(uri: str) -> str:
    """``uri`` without the user name and password that a server's address may carry."""
    parts = urlsplit(uri)
    if parts.scheme.split("+")[0] in _LOCAL_SCHEMES or "@" not in parts.netloc:
        return uri
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def absolute_uri(uri: str, folder: Path) -> str:
    """``uri`` with a SQLite path that is relative made relative to ``folder``."""
    parts = urlsplit(uri)
    if parts.scheme.split("+")[0] == "sqlite" and not parts.netloc:
        path = parts.path.removeprefix("/")
        if path and not path.startswith("/") and path != ":memory:":
            return f"{parts.scheme}:///{folder / path}"
    return uri


def _from_pyproject(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    if "jupyter-mlops" not in text:
        return {}  # Not ours to complain about a file that does not speak of us.
    try:
        table = tomllib.loads(text).get("tool", {}).get("jupyter-mlops", {})
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error
    return {name.replace("-", "_"): value for name, value in table.items()}


@cache
def _hints() -> dict[str, Any]:
    """The settings' types; finding them costs more than all the rest."""
    return get_type_hints(Config)


def _apply(config: Config, values: Mapping[str, Any], source: str) -> Config:
    hints = _hints()
    changes: dict[str, Any] = {}
    for name, value in values.items():
        if name not in hints:
            known = ", ".join(sorted(hints))
            raise UsageError(
                f"{source}: unknown setting {name!r}", hint=f"The settings are: {known}."
            )
        changes[name] = _convert(name, value, hints[name], source)
    return replace(config, **changes)


def _convert(name: str, value: Any, hint: Any, source: str) -> Any:
    wanted = next((t for t in (get_args(hint) or (hint,)) if t is not type(None)), str)
    try:
        if wanted is bool:
            result: Any = _to_bool(value)
        elif wanted in (int, float) and not isinstance(value, bool):
            result = wanted(value)
        elif wanted is str and isinstance(value, str):
            result = value
        else:
            raise ValueError
    except (TypeError, ValueError):
        raise UsageError(
            f"{source}: setting {name!r} must be {wanted.__name__}, not {value!r}"
        ) from None
    if name == "capture" and result not in _CAPTURE_LEVELS:
        raise UsageError(
            f"{source}: setting 'capture' must be one of {', '.join(_CAPTURE_LEVELS)}, "
            f"not {value!r}"
        )
    if name == "snapshot_inputs" and result not in _SNAPSHOT_INPUTS:
        raise UsageError(
            f"{source}: setting 'snapshot_inputs' must be one of {', '.join(_SNAPSHOT_INPUTS)}, "
            f"not {value!r}"
        )
    if wanted in (int, float) and result <= 0:
        raise UsageError(f"{source}: setting {name!r} must be positive, not {value!r}")
    if name == "snapshot_reserve" and result >= 1:
        raise UsageError(f"{source}: setting {name!r} must be below 1, not {value!r}")
    return result


def _to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off"}:
        return False
    raise ValueError(value)
