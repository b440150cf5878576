"""Finding pipelines in a project by name or by path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import NotFoundError, PipelineError, UsageError
from ..model.pipeline import Pipeline
from ..project import Project
from .files import PIPELINE_FILE, load_pipeline
from .validation import closest

__all__ = ["BrokenPipeline", "find_pipeline", "find_target", "list_pipelines", "scan_pipelines"]


@dataclass(frozen=True, slots=True)
class BrokenPipeline:
    """A folder whose ``pipeline.yaml`` is not valid, and why."""

    name: str
    folder: str
    error: PipelineError


def scan_pipelines(project: Project) -> list[Pipeline | BrokenPipeline]:
    """Return what lies in the project's ``pipelines/``, by folder name; broken ones say why."""
    found: list[Pipeline | BrokenPipeline] = []
    try:
        folders = sorted(path for path in project.pipelines.iterdir() if path.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return found
    for folder in folders:
        if folder.name.startswith(".") or not (folder / PIPELINE_FILE).is_file():
            continue
        try:
            found.append(load_pipeline(folder))
        except PipelineError as error:
            found.append(BrokenPipeline(folder.name, str(folder), error))
    return found


def list_pipelines(project: Project) -> list[Pipeline]:
    """Return the project's valid pipelines, by folder name."""
    return [one for one in scan_pipelines(project) if isinstance(one, Pipeline)]


def find_pipeline(project: Project, name_or_path: str | Path) -> Pipeline:
    """Return the pipeline that a name, a folder or a ``pipeline.yaml`` means.

    A name is that of a folder in ``pipelines/``, else the ``name`` that a file there gives itself.
    Raises ``NotFoundError`` that lists the pipelines, ``UsageError`` where two have the name, and
    ``PipelineError`` when its file is not valid.
    """
    target = find_target(project, name_or_path)
    if isinstance(target, Path):
        raise NotFoundError(
            f"{name_or_path} is a notebook and not a pipeline",
            hint=f"To make it one: jupyter mlops promote {name_or_path}",
        )
    return target


def find_target(project: Project, target: str | Path) -> Pipeline | Path:
    """Return the pipeline, or the absolute path of the notebook, that ``target`` means.

    Relative paths are looked up from the current folder and then from the project's root.
    Raises like ``find_pipeline``.
    """
    text = str(target)
    if text and "/" not in text and (project.pipelines / text / PIPELINE_FILE).is_file():
        return load_pipeline(project.pipelines / text)
    named = [one for one in scan_pipelines(project) if one.name == text]
    if len(named) > 1:
        folders = ", ".join(project.relative(one.folder) for one in named)
        raise UsageError(
            f"two pipelines are called {text!r}: {folders}", hint="Give the folder instead."
        )
    for one in named:
        if isinstance(one, BrokenPipeline):
            raise one.error
        return one
    for base in (Path.cwd(), project.root):
        path = base / text
        if path.is_dir() and (path / PIPELINE_FILE).is_file():
            return load_pipeline(path)
        if path.is_file() and path.name == PIPELINE_FILE:
            return load_pipeline(path.parent)
        if path.is_file() and path.suffix == ".ipynb":
            return path.resolve()
    raise _not_found(project, text)


def _not_found(project: Project, text: str) -> NotFoundError:
    names = [one.name for one in scan_pipelines(project)]
    path = Path(text)
    if path.suffix == ".ipynb":
        message = f"there is no notebook {text}"
    elif path.is_file():
        message = f"{text} is neither a pipeline nor a notebook (.ipynb)"
    else:
        message = f"there is no pipeline or notebook {text!r}{closest(text, names)}"
    listed = f"The pipelines are: {', '.join(names)}." if names else "There are no pipelines yet."
    hint = listed if names else f"{listed} To make one: jupyter mlops promote NOTEBOOK"
    return NotFoundError(message, hint=hint, target=text, pipelines=names)
