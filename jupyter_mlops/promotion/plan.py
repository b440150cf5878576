"""A promotion before anything is written: what would be kept, and why, as plain data.

``PromotionPlan.to_dict()`` is what ``promote --plan --json`` prints and a preview shows;
``PlanEdits.from_dict()`` reads what the person changed in it.  Cells are named by ``seq``, the
number of their execution in the session (``In [n]`` of a notebook without a session).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import UsageError

__all__ = [
    "HandOff",
    "ParameterEdit",
    "PlanEdits",
    "PlannedCell",
    "PlannedFile",
    "PlannedParameter",
    "PlannedStep",
    "PromotionPlan",
    "StepEdit",
]


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """One execution of a cell.

    ``name`` tells it from other executions of the same cell (``c5``, ``c5-2``).  ``state`` is
    ``as_is``; ``edited`` or ``deleted`` where it is brought back from the journal because the
    notebook no longer has it so; ``failed``; or ``private``.  ``reason`` says why it is kept or
    dropped; ``step`` is the name of the step it goes to, ``None`` where it is dropped.
    """

    seq: int
    name: str
    cell_id: str | None
    source: str
    kept: bool
    reason: str
    state: str = "as_is"
    step: str | None = None
    seconds: float = 0.0
    changed_by_person: bool = False


@dataclass(frozen=True, slots=True)
class PlannedParameter:
    """A literal that can be given from outside.

    ``schema`` is its JSON Schema; ``rank`` is higher the likelier a person wants to set it, and
    ``reason`` says why; ``original`` is its name in the notebook.
    """

    name: str
    original: str
    default: Any
    schema: dict[str, Any]
    rank: int
    reason: str
    seq: int
    included: bool = True


@dataclass(frozen=True, slots=True)
class HandOff:
    """A value that one step writes and later ones read.

    ``kind`` is what is known of it from the text (``frame``, ``array``, ``estimator``, ``plain`` or
    ``unknown``); ``format`` and ``file`` are known once a replay has tried it.
    """

    variable: str
    kind: str
    format: str | None = None
    file: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One notebook to be: its cells by ``seq`` in order, what it takes and what it leaves.

    ``reason`` says why it begins where it does; ``inputs`` maps a variable to the step whose value
    it reads.
    """

    name: str
    cells: tuple[int, ...]
    reason: str
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: tuple[HandOff, ...] = ()
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """Data that a kept cell reads.

    ``parameter`` names the parameter that holds the path, ``snapshot`` the version that keeps what
    was read when it was tracked, ``exact`` whether that version gives back the same bytes.
    """

    source: str
    how: str
    digest: str | None = None
    parameter: str | None = None
    snapshot: str | None = None
    exact: bool = False


@dataclass(frozen=True, slots=True)
class PromotionPlan:
    """What a promotion would write.

    ``notebook`` is relative to the project; ``run_id`` is ``None`` where no run is recorded, and
    ``basis`` then says what the slice rests on: ``session`` or ``document``.  ``refused_cuts`` are
    step boundaries that could not be, each with the reason.  ``warnings`` are for the person.
    """

    name: str
    notebook: str
    basis: str
    run_id: str | None
    targets: tuple[str, ...]
    mode: str
    cells: tuple[PlannedCell, ...]
    parameters: tuple[PlannedParameter, ...]
    steps: tuple[PlannedStep, ...]
    files: tuple[PlannedFile, ...]
    metrics: dict[str, float] = field(default_factory=dict)
    model: str | None = None
    unseeded: tuple[str, ...] = ()
    refused_cuts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def kept(self) -> tuple[int, ...]:
        """The ``seq`` of the kept cells, in executed order."""
        return tuple(cell.seq for cell in self.cells if cell.kept)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return {"version": 1} | {name: _plain(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class ParameterEdit:
    """What the person says of one parameter; ``None`` leaves it as proposed."""

    name: str | None = None
    type: str | None = None
    included: bool | None = None


@dataclass(frozen=True, slots=True)
class StepEdit:
    """A step that the person wants: its name, and the ``seq`` of its first cell."""

    name: str
    first: int


@dataclass(frozen=True, slots=True)
class PlanEdits:
    """Changes to a plan.

    ``parameters`` by their name in the notebook, ``cells`` (keep or drop) by ``seq``; ``steps``
    replaces all proposed ones.
    """

    parameters: dict[str, ParameterEdit] = field(default_factory=dict)
    cells: dict[int, bool] = field(default_factory=dict)
    steps: tuple[StepEdit, ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PlanEdits:
        """Read ``{"parameters": {NAME: {...}}, "cells": {SEQ: bool}, "steps": [...]}``.

        Raises ``UsageError`` that names the first key that is not as it must be.
        """
        known = {"parameters", "cells", "steps"}
        for key in data:
            if key not in known:
                raise UsageError(f"edits: there is no {key!r}", hint="Known: " + ", ".join(known))
        try:
            return cls(
                {str(n): _parameter_edit(str(n), e) for n, e in data.get("parameters", {}).items()},
                {int(seq): _truth(f"cells.{seq}", kept) for seq, kept in _cells(data)},
                tuple(_step_edit(i, e) for i, e in enumerate(data.get("steps") or ())),
            )
        except (TypeError, ValueError, AttributeError) as error:
            if isinstance(error, UsageError):
                raise
            raise UsageError(f"edits cannot be read: {error}") from None


def _cells(data: Mapping[str, Any]) -> Any:
    return (data.get("cells") or {}).items()


def _truth(where: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"edits: {where} must be true or false, not {value!r}")
    return value


def _parameter_edit(name: str, data: Mapping[str, Any]) -> ParameterEdit:
    for key, value in data.items():
        wanted = {"name": str, "type": str, "included": bool}.get(key)
        if wanted is None or not isinstance(value, wanted):
            raise UsageError(f"edits: parameters.{name}.{key} cannot be {value!r}")
    return ParameterEdit(**data)


def _step_edit(number: int, data: Mapping[str, Any]) -> StepEdit:
    name, first = data.get("name"), data.get("first")
    if not isinstance(name, str) or not isinstance(first, int) or isinstance(first, bool):
        raise UsageError(
            f'edits: steps[{number}] must be {{"name": NAME, "first": SEQ}}, not {dict(data)!r}'
        )
    return StepEdit(name, first)


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if hasattr(value, "__slots__"):
        return {name: _plain(getattr(value, name)) for name in value.__slots__}
    return value
