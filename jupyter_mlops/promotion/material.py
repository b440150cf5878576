"""The kept cells as they will be written: without our lines, their parameters taken out."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..dataflow import Slice, flows, strip_tracking
from ..errors import UsageError
from ..model.events import ModelRecord
from ..model.pipeline import Parameter
from ..pipelines import is_parameter_name, parameters_in
from .boundaries import Flowing, follow
from .displays import without_displays
from .literals import extract_parameters
from .metrics import MetricCode, metric_expressions
from .plan import ParameterEdit
from .sources import name_sources
from .standin import WithoutUs, without_us
from .statements import loads
from .tracked import Tracked

__all__ = ["Material", "ParameterText", "chosen_model", "prepare"]

_ANNOTATIONS = {
    "integer": "int", "number": "float", "string": "str", "boolean": "bool", "array": "list",
    "object": "dict",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ParameterText:
    """A parameter as it stands in the cell: ``line`` binds ``name``; ``original`` is its name in
    the notebook, ``cell`` the position of the kept cell that it comes from."""

    name: str
    original: str
    line: str
    cell: int
    declared: Parameter


@dataclass(frozen=True, slots=True)
class Material:
    """What steps are composed of.

    ``kept`` are positions in the session's events; all other positions are among the kept cells.
    ``results`` are the names that the last step needs at its end.
    """

    tracked: Tracked
    kept: tuple[int, ...]
    sources: tuple[str, ...]
    flowing: Flowing
    parameters: tuple[ParameterText, ...]
    ours: WithoutUs
    metrics: MetricCode
    model: ModelRecord | None
    results: frozenset[str]
    unseeded: tuple[str, ...] = field(default=())


def prepare(
    tracked: Tracked,
    cut: Slice,
    kept: Sequence[int],
    edits: dict[str, ParameterEdit],
    *,
    drop_displays: bool = False,
) -> Material:
    """Make the cells at ``kept`` ready to be written.

    Raises ``UsageError`` for an edit of a parameter that cannot be.
    """
    events = tracked.events
    known = [cut.flows[i] if i < len(cut.flows) else flows([events[i]])[0] for i in kept]
    texts = [strip_tracking(events[i].source) for i in kept]
    ours = without_us(texts)
    sources = list(ours.cells)
    target = kept.index(tracked.target) if tracked.target in kept else None
    metrics = MetricCode({}, "")
    model = chosen_model(tracked) if target is not None else None
    if target is not None and tracked.metrics:
        stored = known[target].must_stores | known[target].may_stores
        options = events[tracked.target].options
        metrics = metric_expressions(
            tracked.metrics, sources[target], stored, options, bool(ours.names)
        )
        sources[target] = metrics.source
    if drop_displays:
        sources = without_displays(sources)
    leave = {name for name, edit in edits.items() if edit.included is False}
    sources = name_sources(sources, known, tracked.notebook.parent, leave)
    extracted = extract_parameters(sources, known, leave)
    parameters = [
        _parameter(name, line, origin, edits.get(name))
        for name, line, origin in zip(
            extracted.names, extracted.lines, extracted.origins, strict=True
        )
    ]
    _check_names(parameters, edits, extracted.names, known)
    results = frozenset(tracked.targets)
    for expression in metrics.expressions.values():
        results |= loads(expression) - {"float", "_runs"}
    if model is not None:
        results |= {model.name} | ({model.example_name} if model.example_name else set())
    by_index = list(cut.flows) + [flows([e])[0] for e in events[len(cut.flows) :]]
    flowing = follow(
        events,
        kept,
        by_index,
        extracted.cells,
        wanted=results - set(extracted.names),
        parameters=extracted.lines,
        fixed=frozenset(extracted.names) | set(ours.names),
    )
    unseeded = tuple(dict.fromkeys(what for flow in known for what in flow.unseeded))
    return Material(
        tracked, tuple(kept), extracted.cells, flowing, tuple(parameters), ours, metrics, model,
        results, unseeded,
    )  # fmt: skip


def chosen_model(tracked: Tracked) -> ModelRecord | None:
    """The model that the pipeline hands over: the one chosen when it was tracked."""
    if tracked.run is None:
        return None
    kept = [m for m in tracked.run.models if m.blob is not None]
    wanted = [m for m in kept if m.name == tracked.run.register_model]
    found = (wanted or kept)[-1:]
    return found[0] if found and found[0].name.isidentifier() else None


def _parameter(name: str, line: str, cell: int, edit: ParameterEdit | None) -> ParameterText:
    """The statement of a parameter, annotated where its literal says less than the person."""
    new = edit.name if edit is not None and edit.name else name
    if not is_parameter_name(new):
        raise UsageError(
            f"{new!r} cannot name a parameter: it is not an identifier",
            field=f"edits.parameters.{name}",
        )
    node = ast.parse(line).body[0]
    assert isinstance(node, (ast.Assign, ast.AnnAssign))  # noqa: S101
    annotation = ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else None
    value = node.value
    if annotation is None and isinstance(value, ast.Constant) and type(value.value) is int:
        annotation = "int"
    if edit is not None and edit.type:
        annotation = _ANNOTATIONS.get(edit.type, edit.type)
        if annotation not in _ANNOTATIONS.values():
            raise UsageError(
                f"parameter {name}: there is no type {edit.type!r}",
                hint=f"The types are {', '.join(_ANNOTATIONS)}.",
                field=f"edits.parameters.{name}",
            )
    assert value is not None  # noqa: S101
    # What stands behind the equals sign stays as it was typed, comment included.
    lines = line.split("\n")
    first = lines[value.lineno - 1].encode()[value.col_offset :].decode()
    opened = line.encode()[: value.col_offset].decode() if value.lineno == 1 else ""
    bracket = "(" if opened.rstrip().endswith("(") else ""
    rest = "\n".join([bracket + first, *lines[value.lineno :]])
    text = f"{new}: {annotation} = {rest}" if annotation else f"{new} = {rest}"
    (declared,) = parameters_in(text)
    _check_type(name, declared)
    return ParameterText(new, name, text, cell, declared)


def _check_type(name: str, parameter: Parameter) -> None:
    from jsonschema import Draft202012Validator

    if not Draft202012Validator(parameter.schema).is_valid(parameter.default):
        raise UsageError(
            f"parameter {name}: {parameter.default!r} is no {parameter.schema.get('type')}",
            field=f"edits.parameters.{name}",
        )


def _check_names(
    parameters: Sequence[ParameterText],
    edits: dict[str, ParameterEdit],
    names: Sequence[str],
    known: Sequence[Any],
) -> None:
    for name in edits:
        if name not in names and edits[name].included is not False:
            raise UsageError(
                f"there is no parameter {name!r}",
                hint=f"The parameters are {', '.join(names) or 'none'}.",
                field=f"edits.parameters.{name}",
            )
    used = frozenset().union(*(flow.reads | flow.must_stores | flow.may_stores for flow in known))
    given: list[str] = []
    for parameter in parameters:
        renamed = parameter.name != parameter.original
        if parameter.name in given or (renamed and parameter.name in used):
            raise UsageError(
                f"{parameter.name!r} is the name of something else in the notebook",
                field=f"edits.parameters.{parameter.original}",
            )
        given.append(parameter.name)
