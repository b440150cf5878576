"""What the JSON Schema cannot say: names that fit together, paths that stay inside the folder.

Each check yields messages ``key path: what is wrong``; none touches a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from ..errors import UsageError
from ..model.pipeline import Parameter, Pipeline
from ..model.registry import check_model_name
from .graph import ancestors, find_cycle
from .names import is_parameter_name
from .parameters import expected
from .schemas import validator_class
from .validation import closest, show

__all__ = ["pipeline_problems"]


def pipeline_problems(pipeline: Pipeline) -> Iterator[str]:
    """Yield everything that is wrong with a pipeline whose shape is right."""
    for parameter in pipeline.parameters:
        yield from _parameter_problems(parameter)
    yield from _step_problems(pipeline)
    needs = {step.name: step.needs for step in pipeline.steps}
    cycle = find_cycle(needs)
    if cycle is not None:
        yield f"steps: {' needs '.join(cycle)}: steps cannot need each other"
        return
    yield from _input_problems(pipeline)
    yield from _result_problems(pipeline)


def _parameter_problems(parameter: Parameter) -> Iterator[str]:
    Draft202012Validator = validator_class()

    where = f"parameters.{parameter.name}"
    if not is_parameter_name(parameter.name):
        yield f"{where}: {show(parameter.name)} cannot name a parameter: it is not an identifier"
    for pattern in _patterns(parameter.schema):
        try:
            re.compile(pattern)
        except (re.error, OverflowError) as error:
            yield f"{where}.pattern: {show(pattern)} is not a regular expression: {error}"
            return
    if not Draft202012Validator(parameter.schema).is_valid(parameter.default):
        wanted = expected(parameter.schema)
        yield f"{where}.default: expected {wanted}, got {show(parameter.default)}"


def _patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        yield from _patterns(schema.get("items"))
        for inner in schema.get("properties", {}).values():
            yield from _patterns(inner)


def _step_problems(pipeline: Pipeline) -> Iterator[str]:
    names = [step.name for step in pipeline.steps]
    parameters = {parameter.name for parameter in pipeline.parameters}
    for number, step in enumerate(pipeline.steps):
        where = f"steps[{number}]"
        if names.index(step.name) != number:
            yield f"{where}.name: two steps are called {step.name!r}"
        if not _stays_inside(step.notebook):
            yield f"{where}.notebook: {show(step.notebook)} must lie inside the pipeline's folder"
        for need in step.needs:
            if need not in names:
                yield f"{where}.needs: there is no step {need!r}{closest(need, names)}"
        for kind, given in (("inputs", step.inputs), ("outputs", step.outputs)):
            for name in given:
                if not is_parameter_name(name):
                    yield f"{where}.{kind}: {show(name)} cannot name a parameter"
                elif name in parameters or (kind == "outputs" and name in step.inputs):
                    yield f"{where}.{kind}: {name!r} is the name of another parameter"
        files = list(step.outputs.values())
        if len(set(files)) < len(files):
            yield f"{where}.outputs: two outputs have the same file name"


def _stays_inside(path: str) -> bool:
    posix, windows = PurePosixPath(path), PureWindowsPath(path)
    return not (
        posix.is_absolute() or windows.drive or windows.root or "\\" in path or ".." in posix.parts
    )


def _input_problems(pipeline: Pipeline) -> Iterator[str]:
    needs = {step.name: step.needs for step in pipeline.steps}
    for number, step in enumerate(pipeline.steps):
        for name, reference in step.inputs.items():
            where = f"steps[{number}].inputs.{name}"
            problem = _reference_problem(pipeline, reference)
            source = reference.partition(".")[0]
            if problem is not None:
                yield f"{where}: {problem}"
            elif source not in ancestors(step.name, needs):
                yield f"{where}: {step.name!r} must list {source!r} in its needs"


def _result_problems(pipeline: Pipeline) -> Iterator[str]:
    references = {"metrics": pipeline.metrics}
    if pipeline.model is not None:
        references["model.output"] = pipeline.model.output
        references["model.example"] = pipeline.model.example
        try:
            check_model_name(pipeline.model.name)
        except UsageError as error:
            yield f"model.name: {error.message}"
    for where, reference in references.items():
        if reference is not None:
            problem = _reference_problem(pipeline, reference)
            if problem is not None:
                yield f"{where}: {problem}"
    if pipeline.model is not None and pipeline.model.example is not None:
        step_name, _, output = pipeline.model.example.partition(".")
        for step in pipeline.steps:
            file = step.outputs.get(output, "") if step.name == step_name else ""
            if file and not file.endswith((".parquet", ".npy")):
                yield f"model.example: {file!r} must be a .parquet or .npy file"


def _reference_problem(pipeline: Pipeline, reference: str) -> str | None:
    step_name, _, output = reference.partition(".")
    for step in pipeline.steps:
        if step.name == step_name:
            if output in step.outputs:
                return None
            known = ", ".join(step.outputs) or "none"
            return f"step {step_name!r} has no output {output!r} (its outputs: {known})"
    names = [step.name for step in pipeline.steps]
    return f"there is no step {step_name!r}{closest(step_name, names)}"
