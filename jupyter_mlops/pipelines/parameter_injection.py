"""From a run's parameters, which are JSON, to what a notebook's own cell would have assigned."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..capture.redact import REDACTED
from ..errors import MlopsError, NotebookError, ParameterError
from ..model.pipeline import Parameter, Pipeline
from ..model.secret import Secret
from ..project import Project
from .declared import DeclaredParameters, declared_parameters, read_notebook
from .parameter_kinds import Kind, python_value
from .parameters import check_parameters, expected, schema_has_secret
from .validation import show

__all__ = ["check_pipeline_parameters", "injected_values"]


def injected_values(
    project: Project, declared: DeclaredParameters, values: Mapping[str, Any], path: Path | str
) -> dict[str, Any]:
    """Return ``values`` as the notebook at ``path`` gets them: see ``model.python_value``.

    Secrets are looked up here once, so that one that is missing ends the run before a kernel
    starts, and so that this process knows what it must not write down; the kernel looks them up
    for itself.  A reference to a file is relative to the project's root.

    Raises ``ParameterError`` for a value that the notebook's annotation does not accept, and
    ``UsageError`` that names a secret which is not there.
    """
    found = {}
    for parameter in declared.parameters:
        kind = declared.kinds.get(parameter.name)
        if parameter.name not in values:
            # A default may come from a variable that the notebook itself sets.
            for reference in _references(parameter.default, kind):
                with contextlib.suppress(MlopsError):
                    Secret.from_reference(_anchored(reference, project))
            continue
        value = values[parameter.name]
        if kind is None:
            found[parameter.name] = value
            continue
        value = _with_anchors(value, kind, project)
        for reference in _references(value, kind):
            Secret.from_reference(reference)
        found[parameter.name] = _as_python(value, kind, parameter, path)
    return {name: found.get(name, value) for name, value in values.items()}


def check_pipeline_parameters(pipeline: Pipeline, given: Mapping[str, Any]) -> dict[str, Any]:
    """What ``check_parameters`` does, and the annotations of the steps' notebooks as well.

    For what is given now and used later, as in a schedule.  Secrets are not looked up, and a
    notebook that cannot be read is left to the run.  Raises ``ParameterError``.
    """
    values = check_parameters(pipeline, given)
    for step in pipeline.steps if values else ():
        path = Path(pipeline.folder) / step.notebook
        try:
            declared = declared_parameters(read_notebook(path), path)
        except NotebookError:
            continue
        for parameter in declared.parameters:
            kind = declared.kinds.get(parameter.name)
            if parameter.name in values and kind is not None:
                _as_python(values[parameter.name], kind, parameter, f"step {step.name!r}")
    return values


def _as_python(value: Any, kind: Kind, parameter: Parameter, of: Path | str) -> Any:
    try:
        return python_value(value, kind)
    except (ValueError, TypeError, OverflowError):
        shown = REDACTED if schema_has_secret(parameter.schema) else show(value)
        raise ParameterError(
            f"parameter {parameter.name!r} of {of}: expected "
            f"{expected(parameter.schema)}, got {shown}",
            parameter=parameter.name,
        ) from None


def _references(value: Any, kind: Kind | None) -> Iterator[str]:
    """The references to secrets in a value."""
    if kind is None or value is None:
        return
    if kind.name == "secret" and isinstance(value, str):
        yield value
    elif kind.name == "union" and isinstance(value, str):
        if any(one.name == "secret" for one in kind.inner) and _is_reference(value):
            yield value
    elif kind.inner and isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            for one in dict.fromkeys(kind.inner):
                yield from _references(item, one)


def _with_anchors(value: Any, kind: Kind, project: Project) -> Any:
    names = {kind.name, *(one.name for one in kind.inner)}
    if "secret" not in names:
        return value
    if isinstance(value, str):
        return _anchored(value, project)
    if isinstance(value, list):
        return [_anchored(item, project) if isinstance(item, str) else item for item in value]
    if isinstance(value, dict):
        return {k: _anchored(v, project) if isinstance(v, str) else v for k, v in value.items()}
    return value


def _anchored(reference: str, project: Project) -> str:
    if not reference.startswith("file:") or reference.startswith("file:~"):
        return reference
    return f"file:{project.root / reference.removeprefix('file:')}"


def _is_reference(text: str) -> bool:
    return text.startswith(("env:", "file:", "keyring:"))
