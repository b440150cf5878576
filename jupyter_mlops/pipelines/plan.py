"""From a pipeline or a notebook to a plan: all checked and decided before a kernel starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import PipelineError
from ..model.pipeline import Pipeline
from ..model.ports import NotebookExecutor
from ..project import Project
from .data import data_parameters
from .declared import declared_parameters, notebook_values, read_notebook
from .files import PIPELINE_FILE
from .graph import execution_order
from .parameter_injection import injected_values
from .parameters import effective_parameters
from .planned import PlannedStep
from .resources import demand_of

__all__ = ["Plan", "plan_notebook", "plan_pipeline"]


@dataclass(frozen=True, slots=True)
class Plan:
    """A run that can begin.

    ``params`` are all values that are known; ``metrics``, ``model`` and ``example`` the files that
    the steps write, each with the step that does; ``source`` and ``notebook`` are paths relative
    to the project's root.
    """

    kind: str
    name: str
    run_id: str
    folder: Path
    source: str
    steps: list[PlannedStep]
    params: dict[str, Any]
    experiment: str | None = None
    pipeline: str | None = None
    notebook: str | None = None
    register: str | None = None
    metrics: tuple[str, Path] | None = None
    model: Path | None = None
    example: Path | None = None
    definition: Path | None = None
    file_names: dict[str, str] = field(default_factory=dict)

    @property
    def output(self) -> Path:
        """The executed notebook, or the folder where there are several."""
        return self.steps[0].output if len(self.steps) == 1 else self.folder


def plan_pipeline(
    project: Project,
    pipeline: Pipeline,
    given: Mapping[str, Any],
    run_id: str,
    executor: NotebookExecutor,
    data: str = "auto",
) -> Plan:
    """Check a pipeline's notebooks, kernel and parameters and decide its paths.

    Raises ``ParameterError``, ``PipelineError``, ``NotebookError`` and ``UsageError``; nothing is
    written.
    """
    params = _pinned(project, effective_parameters(pipeline, given))
    folder = Path(pipeline.folder).resolve()
    params |= data_parameters(project, pipeline.name, folder, params, given, data)
    run_folder = project.runs / run_id
    files = {
        f"{step.name}.{name}": run_folder / step.name / file
        for step in pipeline.steps
        for name, file in step.outputs.items()
    }
    unused = set(params)
    planned: dict[str, PlannedStep] = {}
    for step in pipeline.steps:
        path = (folder / step.notebook).resolve()
        if not path.is_relative_to(folder):
            raise PipelineError(
                f"{folder / PIPELINE_FILE}: step {step.name!r}: {step.notebook} leads out of the "
                "pipeline's folder"
            )
        executor.check(path, kernel=pipeline.kernelspec)
        declared = declared_parameters(read_notebook(path), path)
        own = {n: v for n, v in params.items() if n in declared.names or not declared.readable}
        unused -= set(own)
        outputs = {name: files[f"{step.name}.{name}"] for name in step.outputs}
        own |= {name: str(path) for name, path in outputs.items()}
        own |= {name: str(files[reference]) for name, reference in step.inputs.items()}
        planned[step.name] = PlannedStep(
            name=step.name,
            notebook=path,
            output=run_folder / f"{step.name}.ipynb",
            cwd=project.root,
            kernel=pipeline.kernelspec,
            parameters=injected_values(project, declared, own, path),
            env=_environment(path, run_id, step.name),
            needs=step.needs,
            outputs=outputs,
            inputs={name: files[reference] for name, reference in step.inputs.items()},
            retries=step.retries,
            backoff=step.backoff,
            longest_pause=step.longest_pause,
            timeout=step.timeout,
            cell_timeout=step.cell_timeout,
            demand=demand_of(step.resources),
        )
    if unused:
        raise PipelineError(
            f"{folder / PIPELINE_FILE}: no step declares the parameter {sorted(unused)[0]!r}",
            hint="Assign it in the cell tagged 'parameters' of the notebook that uses it.",
        )
    order = execution_order({step.name: step.needs for step in pipeline.steps})
    return Plan(
        kind="pipeline",
        name=pipeline.name,
        run_id=run_id,
        folder=run_folder,
        source=project.relative(folder / PIPELINE_FILE),
        steps=[planned[name] for name in order],
        params=params,
        experiment=pipeline.experiment,
        pipeline=pipeline.name,
        register=pipeline.model.name if pipeline.model else None,
        metrics=None
        if pipeline.metrics is None
        else (pipeline.metrics.partition(".")[0], files[pipeline.metrics]),
        model=files[pipeline.model.output] if pipeline.model else None,
        example=files[pipeline.model.example]
        if pipeline.model and pipeline.model.example
        else None,
        definition=folder / PIPELINE_FILE,
        file_names={name: f"steps/{name}.ipynb" for name in order},
    )


def plan_notebook(
    project: Project, path: Path, given: Mapping[str, Any], run_id: str, executor: NotebookExecutor
) -> Plan:
    """Check a notebook, its kernel and its parameters and decide its paths.

    Raises ``ParameterError``, ``NotebookError`` and ``UsageError``; nothing is written.
    """
    shown = project.relative(path)
    declared = declared_parameters(read_notebook(path), shown)
    values, params = notebook_values(declared, given, shown)
    known, params = params, _pinned(project, params)
    # Also a default: what is injected is what is recorded.
    values = values | {name: v for name, v in params.items() if v != known[name]}
    executor.check(path, kernel=None, parameters=bool(values))
    folder = project.runs / run_id
    step = PlannedStep(
        name=path.stem,
        notebook=path,
        output=folder / path.name,
        cwd=path.parent,
        kernel=None,
        parameters=injected_values(project, declared, values, shown),
        env=_environment(path, run_id, path.stem),
    )
    return Plan(
        kind="notebook",
        name=path.stem,
        run_id=run_id,
        folder=folder,
        source=shown,
        steps=[step],
        params=params,
        notebook=shown,
        file_names={step.name: path.name},
    )


def _environment(notebook: Path, run_id: str, step: str) -> dict[str, str]:
    return {
        "JUPYTER_MLOPS_NOTEBOOK": str(notebook),
        "JUPYTER_MLOPS_PARENT_RUN": run_id,
        "JUPYTER_MLOPS_STEP": step,
        # The process that runs this delivers afterwards: no agent has to be started for it.
        "JUPYTER_MLOPS_AGENT": "off",
    }


def _pinned(project: Project, values: dict[str, Any]) -> dict[str, Any]:
    """Snapshots by number, whatever address names them.  The store is heavy, and rarely needed."""
    if "snapshot://" not in repr(values):
        return values
    from ..snapshots.locating import pin_addresses

    return pin_addresses(project, values)
