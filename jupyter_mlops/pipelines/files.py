"""Reading and writing ``pipeline.yaml`` and ``policy.yaml``."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import PipelineError, ProjectError, UsageError
from ..model.pipeline import Parameter, Pipeline, PipelineModel, Step
from ..model.policy import Gate, Policy
from ..model.registry import check_alias
from .checks import pipeline_problems
from .validation import find_problem
from .yaml_text import YamlProblem, dump_yaml, parse_yaml

__all__ = [
    "PIPELINE_FILE",
    "POLICY_FILE",
    "VERSION",
    "load_pipeline",
    "load_policy",
    "pipeline_text",
    "save_pipeline",
    "save_policy",
    "write_atomic",
]

PIPELINE_FILE = "pipeline.yaml"
POLICY_FILE = "policy.yaml"
VERSION = 1
_SIZE_LIMIT = 1024 * 1024
_STEP_KEYS = ("inputs", "outputs", "resources")
_PLAIN_STEP = Step("step", "step.ipynb")


def load_pipeline(folder: Path | str) -> Pipeline:
    """Return the pipeline that ``folder`` describes in ``pipeline.yaml``.

    Raises ``PipelineError`` that names the file, the key and what is allowed there.
    """
    path = Path(folder) / PIPELINE_FILE
    data = _read(path, "pipeline.schema.json")
    pipeline = _pipeline_from(data, str(Path(folder).resolve()))
    _raise_first(path, pipeline)
    return pipeline


def save_pipeline(pipeline: Pipeline, folder: Path | str) -> Path:
    """Write ``pipeline.yaml`` into ``folder`` (made if need be) in one step; return its path.

    Raises ``PipelineError`` when the pipeline is not valid, and ``ProjectError`` when the folder
    cannot be written; then a file that was there before is unchanged.
    """
    path = Path(folder) / PIPELINE_FILE
    text = pipeline_text(pipeline)
    problem = find_problem(_parse(path, text), "pipeline.schema.json")
    if problem is not None:
        raise PipelineError(f"{path}: {problem}", file=str(path))
    _raise_first(path, pipeline)
    _write_text(path, text)
    return path


def pipeline_text(pipeline: Pipeline) -> str:
    """Return the YAML of a pipeline: keys in a fixed order, what has its default left out."""
    data: dict[str, Any] = {"version": VERSION, "name": pipeline.name}
    if pipeline.description:
        data["description"] = pipeline.description
    data["kernelspec"] = pipeline.kernelspec
    if pipeline.experiment is not None:
        data["experiment"] = pipeline.experiment
    if pipeline.parameters:
        data["parameters"] = {p.name: _parameter_data(p) for p in pipeline.parameters}
    data["steps"] = [_step_data(step) for step in pipeline.steps]
    if pipeline.model is not None:
        data["model"] = {"name": pipeline.model.name, "output": pipeline.model.output}
        if pipeline.model.example is not None:
            data["model"]["example"] = pipeline.model.example
    if pipeline.metrics is not None:
        data["metrics"] = pipeline.metrics
    return dump_yaml(data)


def load_policy(folder: Path | str) -> Policy:
    """Return the gates in ``policy.yaml`` of a pipeline's folder; none where there is no file.

    Raises ``PipelineError`` that names the file, the key and what is allowed there.
    """
    path = Path(folder) / POLICY_FILE
    if not path.exists():
        return Policy()
    data = _read(path, "policy.schema.json")
    policy = Policy(tuple(_gate_from(entry) for entry in data["gates"]))
    _check_policy(path, policy)
    return policy


def save_policy(policy: Policy, folder: Path | str) -> Path:
    """Write ``policy.yaml`` into ``folder`` in one step; return its path.

    Raises ``PipelineError`` when the policy is not valid, ``ProjectError`` when it cannot be
    written.
    """
    path = Path(folder) / POLICY_FILE
    text = dump_yaml({"version": VERSION, "gates": [_gate_data(gate) for gate in policy.gates]})
    problem = find_problem(_parse(path, text), "policy.schema.json")
    if problem is not None:
        raise PipelineError(f"{path}: {problem}", file=str(path))
    _check_policy(path, policy)
    _write_text(path, text)
    return path


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file whole and durable, or leave what was there; ``OSError`` when it cannot be."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes private files; these belong in git and follow the person's umask.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    if os.name != "nt":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _read(path: Path, schema_name: str) -> dict[str, Any]:
    data = _parse(path, _read_text(path))
    if isinstance(data, dict):
        version = data.get("version")
        if isinstance(version, int) and not isinstance(version, bool) and version > VERSION:
            raise PipelineError(
                f"{path}: version {version} was made for a later jupyter-mlops; "
                f"this one reads version {VERSION}",
                hint="Upgrade this environment: pip install --upgrade jupyter-mlops",
                file=str(path),
            )
    problem = find_problem(data, schema_name)
    if problem is not None:
        raise PipelineError(f"{path}: {problem}", file=str(path))
    checked: dict[str, Any] = data
    return checked


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_SIZE_LIMIT + 1)
    except FileNotFoundError:
        raise PipelineError(f"{path} does not exist", file=str(path)) from None
    except OSError as error:
        raise PipelineError(
            f"{path} cannot be read: {error.strerror or error}", file=str(path)
        ) from error
    if len(data) > _SIZE_LIMIT:
        raise PipelineError(f"{path} is larger than {_SIZE_LIMIT} bytes", file=str(path))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PipelineError(
            f"{path} is not UTF-8 text: byte {error.start}", file=str(path)
        ) from error


def _parse(path: Path, text: str) -> Any:
    try:
        return parse_yaml(text)
    except YamlProblem as error:
        raise PipelineError(f"{path} is not valid YAML: {error}", file=str(path)) from error


def _write_text(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text.encode("utf-8"))
    except OSError as error:
        raise ProjectError(
            f"{path} cannot be written: {error.strerror or error}", file=str(path)
        ) from error


def _raise_first(path: Path, pipeline: Pipeline) -> None:
    for problem in pipeline_problems(pipeline):
        raise PipelineError(f"{path}: {problem}", file=str(path))


def _pipeline_from(data: Mapping[str, Any], folder: str) -> Pipeline:
    model = data.get("model")
    return Pipeline(
        name=data["name"],
        steps=tuple(_step_from(entry) for entry in data["steps"]),
        parameters=tuple(
            _parameter_from(name, entry) for name, entry in data.get("parameters", {}).items()
        ),
        kernelspec=data.get("kernelspec", "python3"),
        model=None
        if model is None
        else PipelineModel(model["name"], model["output"], model.get("example")),
        metrics=data.get("metrics"),
        experiment=data.get("experiment"),
        description=data.get("description", ""),
        version=data["version"],
        folder=folder,
    )


def _step_from(entry: Mapping[str, Any]) -> Step:
    timeout, cell_timeout = entry.get("timeout"), entry.get("cell_timeout")
    retries = entry.get("retries", 0)
    plain = {"times": retries} if isinstance(retries, int) else retries
    return Step(
        name=entry["name"],
        notebook=entry["notebook"],
        needs=tuple(entry.get("needs", ())),
        retries=plain["times"],
        backoff=float(plain.get("backoff", _PLAIN_STEP.backoff)),
        longest_pause=float(plain.get("most", _PLAIN_STEP.longest_pause)),
        timeout=None if timeout is None else float(timeout),
        cell_timeout=None if cell_timeout is None else float(cell_timeout),
        **{key: dict(entry.get(key, {})) for key in _STEP_KEYS},
    )


def _step_data(step: Step) -> dict[str, Any]:
    data: dict[str, Any] = {"name": step.name, "notebook": step.notebook}
    if step.needs:
        data["needs"] = list(step.needs)
    data |= {key: dict(getattr(step, key)) for key in _STEP_KEYS if getattr(step, key)}
    if step.retries:
        data["retries"] = _retries_data(step)
    if step.timeout is not None:
        data["timeout"] = step.timeout
    if step.cell_timeout is not None:
        data["cell_timeout"] = step.cell_timeout
    return data


def _retries_data(step: Step) -> int | dict[str, Any]:
    given = {"backoff": step.backoff, "most": step.longest_pause}
    usual = {"backoff": _PLAIN_STEP.backoff, "most": _PLAIN_STEP.longest_pause}
    more = {key: value for key, value in given.items() if value != usual[key]}
    return {"times": step.retries, **more} if more else step.retries


def _parameter_from(name: str, entry: Mapping[str, Any]) -> Parameter:
    schema = {key: value for key, value in entry.items() if key not in ("default", "description")}
    return Parameter(name, entry["default"], schema, entry.get("description", ""))


def _parameter_data(parameter: Parameter) -> dict[str, Any]:
    data = {**parameter.schema, "default": parameter.default}
    if parameter.description:
        data["description"] = parameter.description
    return data


def _gate_from(entry: Mapping[str, Any]) -> Gate:
    fields = {"name": entry["metric"], **entry}
    if "aliases" in entry:
        fields["aliases"] = tuple(entry["aliases"])
    return Gate(**fields)


def _gate_data(gate: Gate) -> dict[str, Any]:
    plain = Gate(gate.metric, gate.metric)
    data: dict[str, Any] = {}
    for key in Gate.__dataclass_fields__:
        value = getattr(gate, key)
        if key == "metric" or value != getattr(plain, key):
            data[key] = list(value) if isinstance(value, tuple) else value
    return data


def _check_policy(path: Path, policy: Policy) -> None:
    names = [gate.name for gate in policy.gates]
    for number, gate in enumerate(policy.gates):
        where = f"{path}: gates[{number}]"
        if names.index(gate.name) != number:
            raise PipelineError(
                f"{where}.name: two gates are called {gate.name!r}",
                hint="Give each a name of its own: its verdict is known by it.",
                file=str(path),
            )
        if gate.min is not None and gate.max is not None and gate.min > gate.max:
            raise PipelineError(f"{where}: min is larger than max", file=str(path))
        aliases = [*gate.aliases, *([gate.not_worse_than] if gate.not_worse_than else [])]
        for alias in aliases:
            try:
                check_alias(alias)
            except UsageError as error:
                raise PipelineError(
                    f"{where}: {error.message}", hint=error.hint, file=str(path)
                ) from error
