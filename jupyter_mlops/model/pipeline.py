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

    ``outputs`` maps a parameter of the step's notebook (whose value is a path) to the name of the
    file that the step writes there; ``inputs`` maps one to the ``step.parameter`` of an earlier
    step whose file it reads.  ``retries`` is how often a failed attempt is repeated, ``backoff``
    the seconds before the first repetition, doubled each time up to ``longest_pause``.  ``timeout``
    is how many seconds the cells of one attempt may take together, ``cell_timeout`` each of them.
    ``resources`` (``cpus``, ``gpus``, ``memory``) are what the step needs while it runs: they
    decide which steps run at once.
    """

    name: str
    notebook: str
    needs: tuple[str, ...] = ()
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    retries: int = 0
    timeout: float | None = None
    resources: dict[str, Any] = field(default_factory=dict)
    backoff: float = 1.0
    longest_pause: float = 30.0
    cell_timeout: float | None = None


@dataclass(frozen=True, slots=True)
class PipelineModel:
    """The model that a pipeline registers.

    ``output`` is the ``step.parameter`` of a skops file, ``example`` that of a Parquet or npy file
    with a few rows of input.
    """

    name: str
    output: str
    example: str | None = None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A parsed and validated pipeline; ``folder`` is where it was read from.

    ``metrics`` is the ``step.parameter`` of a JSON file: one object of metric names and numbers.
    """

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
