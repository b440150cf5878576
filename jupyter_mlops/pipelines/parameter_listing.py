"""What a pipeline or a notebook takes: for help pages, forms and files of parameters."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ParameterError
from ..model.pipeline import Parameter, Pipeline
from ..project import Project
from .declared import declared_parameters, read_notebook
from .lookup import find_target
from .parameters import TypedText, expected
from .yaml_text import parse_yaml

__all__ = [
    "TargetParameters",
    "parameters_schema",
    "read_document",
    "read_parameters",
    "target_parameters",
]

_LARGEST = 1024 * 1024


@dataclass(frozen=True, slots=True)
class TargetParameters:
    """The parameters of ``target``, as it is called in messages.

    ``required`` have no default, that of ``computed`` is whatever the notebook computes.
    """

    target: str
    parameters: tuple[Parameter, ...]
    required: frozenset[str] = frozenset()
    computed: frozenset[str] = frozenset()

    def rows(self) -> list[tuple[str, str, str, str]]:
        """``(name, type, default, description)`` of each, as people read them."""
        return [
            (one.name, expected(one.schema), self._default(one), one.description)
            for one in self.parameters
        ]

    def _default(self, parameter: Parameter) -> str:
        if parameter.name in self.required:
            return "required"
        if parameter.name in self.computed:
            return "computed"
        return json.dumps(parameter.default, ensure_ascii=False)


def target_parameters(project: Project, target: str | Path) -> TargetParameters:
    """What a pipeline (its name or folder) or a notebook takes.

    Raises like ``find_target``, and ``NotebookError`` for a notebook that cannot be read.
    """
    found = find_target(project, target)
    if isinstance(found, Pipeline):
        return TargetParameters(f"pipeline {found.name}", found.parameters)
    shown = project.relative(found)
    declared = declared_parameters(read_notebook(found), shown)
    computed = declared.opaque - declared.required
    return TargetParameters(shown, declared.parameters, declared.required, computed)


def parameters_schema(
    parameters: Iterable[Parameter], required: Iterable[str] = ()
) -> dict[str, Any]:
    """One JSON Schema (2020-12) of an object with a value for each parameter."""
    properties = {}
    for one in parameters:
        properties[one.name] = {**one.schema, "default": one.default}
        if one.description:
            properties[one.name]["description"] = one.description
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    missing = sorted(required)
    for name in missing:
        properties[name].pop("default", None)
    return schema | ({"required": missing} if missing else {})


def read_parameters(path: Path) -> dict[str, Any]:
    """Read a file of parameters: YAML, JSON or TOML, by its ending.

    Texts are ``TypedText``.  Raises ``ParameterError`` that names the file and what is wrong.
    """
    data = read_document(path)
    if not isinstance(data, dict):
        raise ParameterError(
            f"{path} must hold parameters by name, not {type(data).__name__}", file=str(path)
        )
    return {
        str(name): TypedText(value) if isinstance(value, str) else value
        for name, value in data.items()
    }


def read_document(path: Path) -> Any:
    """What a YAML, JSON or TOML file says, by its ending.  Raises ``ParameterError``."""
    import tomllib

    kind = path.suffix.lower()
    if kind not in (".yaml", ".yml", ".json", ".toml"):
        raise ParameterError(
            f"{path} is no file of parameters",
            hint="It ends in .yaml, .yml, .json or .toml.",
            file=str(path),
        )
    try:
        if path.stat().st_size > _LARGEST:
            raise ParameterError(f"{path} is larger than {_LARGEST} bytes", file=str(path))
        text = path.read_text(encoding="utf-8")
        if kind == ".toml":
            return tomllib.loads(text)
        if kind == ".json":
            return json.loads(text)
        return parse_yaml(text)
    except OSError as error:
        reason = error.strerror or str(error)
    except (ValueError, RecursionError) as error:  # each parser's own error is one
        reason = str(error)
    raise ParameterError(f"{path} cannot be read: {reason}", file=str(path))
