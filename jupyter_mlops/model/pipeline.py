"""A pipeline as data: what ``pipeline.yaml`` says, without the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Parameter", "Pipeline", "PipelineModel", "Step"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A typed parameter: ``schema`` is a JSON Schema, ``default`` a JSON value."""

    name: str
    default: Any
    schema: dict[str, Any] = field(default_factory=dict)
    description: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One notebook of a pipeline.

    ``inputs`` and ``outputs`` map a parameter of the step's notebook (whose value is a path) to
    the file name that is handed over; ``timeout`` is in seconds.
    """

    name: str
    notebook: str
    needs: tuple[str, ...] = ()
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    retries: int = 0
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class PipelineModel:
    """The model that a pipeline registers: ``output`` is ``step.parameter`` of a model file."""

    name: str
    output: str
    example: str | None = None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A parsed and validated pipeline; ``folder`` is where it was read from."""

    name: str
    steps: tuple[Step, ...]
    parameters: tuple[Parameter, ...] = ()
    kernelspec: str = "python3"
    model: PipelineModel | None = None
    metrics: str | None = None
    experiment: str | None = None
    description: str = ""
    version: int = 1
    folder: str = ""
