"""What a headless run reports while it goes on and when it has ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..model.events import RunRecord
from ..model.registry import ModelVersion

__all__ = ["RunOutcome", "StepOutcome", "StepProgress"]


@dataclass(frozen=True, slots=True)
class StepProgress:
    """A step of a run that began, is tried again, ended, or is left out.

    ``state`` is ``started``, ``retrying``, ``completed``, ``failed``, ``skipped``, ``cached``,
    ``resumed`` or ``cancelled``; ``number`` counts from 1 to ``total``, ``attempt`` from 1;
    ``seconds`` is how long the attempt took; ``detail`` says why it is retried, skipped,
    cancelled, or runs though it was to be resumed.  ``parallel`` is whether steps of this run may
    run at once.  A notebook is a run of one step.
    """

    step: str
    notebook: Path
    state: str
    number: int
    total: int
    attempt: int = 1
    seconds: float = 0.0
    detail: str = ""
    parallel: bool = False


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """How a step ended.

    Attributes:
        status: ``finished``, ``failed`` or ``skipped``; ``cached`` and ``resumed`` where its
            results were taken over; ``cancelled`` where it was ended or not begun.
        seconds: from its start to its end, all attempts and the pauses between them.
        output: the executed notebook, ``None`` if there is none.
        error: as in ``model.ports.ExecutionResult``.
        cells: how many code cells were executed.
        cpu: seconds of processor time of those cells, all processes of the kernel together.
        peak_memory: the most bytes that those processes had at once.
        cache: what the step cache said: ``hit``, ``key`` and ``why``; ``None`` without a cache.
    """

    name: str
    notebook: Path
    status: str
    seconds: float = 0.0
    attempts: int = 0
    output: Path | None = None
    error: dict[str, Any] | None = None
    cells: int = 0
    cpu: float = 0.0
    peak_memory: int = 0
    cache: dict[str, Any] | None = None

    @property
    def done(self) -> bool:
        """Whether its results are there, made in this run or taken over."""
        return self.status in ("finished", "cached", "resumed")


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a headless run ended.

    Attributes:
        status: ``FINISHED``, ``FAILED`` or ``KILLED`` (interrupted).
        exit_code: 0, 1, 5 (not delivered, where that was required), 130 or 143.
        output: the executed notebook; of a pipeline with several steps, the folder with them.
        delivered: whether the tracking store has the run.
        handed: where it has not: ``agent`` (which delivers it), ``kept`` (the next command does),
            or empty where a delivery was tried and ``warnings`` say what came of it.
        versions: the model versions that this run and the cells in it made.
        error: the first failure, as in ``model.ports.ExecutionResult``, with ``step``.
        children: runs that tracked cells recorded inside.
        register: the model that a version was asked for, made or not yet.
        kernels: how each kernel was started, in order: ``step``, ``start`` (``warm``, ``cold`` or
            ``fork``), ``why``.
        resumes: the run whose finished steps were taken over.
    """

    run_id: str
    name: str
    kind: str
    status: str
    exit_code: int
    seconds: float
    output: Path
    params: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    versions: tuple[ModelVersion, ...] = ()
    delivered: bool = False
    error: dict[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    steps: tuple[StepOutcome, ...] = ()
    children: tuple[RunRecord, ...] = ()
    register: str | None = None
    handed: str = ""
    kernels: tuple[dict[str, Any], ...] = ()
    resumes: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The outcome as JSON, for ``--json`` and the REST API."""
        return {
            "run_id": self.run_id,
            "name": self.name,
            "kind": self.kind,
            "status": self.status,
            "exit_code": self.exit_code,
            "seconds": self.seconds,
            "output": str(self.output),
            "params": self.params,
            "metrics": self.metrics,
            "versions": [
                {"name": v.name, "version": v.version, "run_id": v.run_id} for v in self.versions
            ],
            "delivered": self.delivered,
            "handed": self.handed,
            "error": self.error,
            "warnings": list(self.warnings),
            "steps": [
                {
                    "name": step.name,
                    "notebook": str(step.notebook),
                    "status": step.status,
                    "seconds": step.seconds,
                    "attempts": step.attempts,
                    "output": None if step.output is None else str(step.output),
                    "error": step.error,
                    "cells": step.cells,
                    "cpu": step.cpu,
                    "peak_memory": step.peak_memory,
                    "cache": step.cache,
                }
                for step in self.steps
            ],
            "kernels": list(self.kernels),
            "resumes": self.resumes,
            "children": [
                {
                    "run_id": run.run_id,
                    "name": run.name,
                    "status": run.status,
                    "params": run.params,
                    "metrics": run.metrics,
                }
                for run in self.children
            ],
        }
