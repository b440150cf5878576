"""What ``pytest --notebooks`` collects and runs; loaded by the plugin where the option is given.

A notebook or a pipeline is run as ``jupyter mlops run`` does, with a state folder of its own: the
project's snapshots are there, and no run, no model version and nothing on a tracking server comes
of it.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from .config import Config, load_config
from .errors import MlopsError, NotebookError, UsageError
from .pipelines import (
    PIPELINE_FILE,
    RunOutcome,
    declared_parameters,
    load_pipeline,
    read_notebook,
    run_pipeline,
)
from .project import Project, open_project
from .warm import WORTH_HOLDING, end_zygotes, holder, imported_modules, warm_kernels

__all__ = ["NotebookSession"]

_KEY = "pytest"  # of a notebook's metadata
_OWNER = "pytest"
_AROUND = 12  # lines of a long cell that are shown before and after the failing one


@dataclass(frozen=True)
class Cell:
    """A code cell that is a test: ``index`` in its notebook from 0, ``number`` of code from 1."""

    step: str
    index: int
    number: int
    skipped: bool


class NotebookSession:
    """What holds for all notebooks of one pytest session."""

    def __init__(self, config: pytest.Config, paths: Sequence[Path]) -> None:
        self.cells: bool = config.getoption("notebooks_cells")
        self.timeout: float | None = config.getoption("notebook_timeout")
        self.given: dict[str, str] = dict(config.getoption("notebook_param"))
        kept: str | None = config.getoption("notebooks_output")
        self.kept = None if kept is None else config.invocation_params.dir / kept
        self._root = config.rootpath
        self._paths = paths
        self._ignored: list[str] = config.getini("notebooks_ignore")
        self._modules: tuple[str, ...] = ()
        self._shared = False
        self._worker = hasattr(config, "workerinput")  # of pytest-xdist
        self._refused = ""
        self._folder = Path(tempfile.mkdtemp(prefix="notebooks-"))

    def collect(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """The collector of a notebook or a pipeline that is a test."""
        resolved = path.resolve()
        if self._paths and not any(resolved.is_relative_to(one) for one in self._paths):
            return None
        if not parent.session.isinitpath(path) and self._left_out(path):
            return None
        file: NotebookFile = NotebookFile.from_parent(parent, path=path, notebooks=self)
        return file

    def _left_out(self, path: Path) -> bool:
        shown = path.relative_to(self._root) if path.is_relative_to(self._root) else path
        names = (shown.as_posix(), path.name)
        if any(fnmatch.fnmatch(name, glob) for glob in self._ignored for name in names):
            return True
        # The steps of a pipeline are run as such, with what the steps before them hand over.
        definition = path.with_name(PIPELINE_FILE)
        if path.name == PIPELINE_FILE or not definition.is_file():
            return False
        try:
            steps = load_pipeline(path.parent).steps
        except MlopsError:
            return True  # the pipeline's own test says what is wrong with it
        return path.name in {step.notebook for step in steps}

    def begin(self, items: Sequence[pytest.Item]) -> None:
        """See what will run.  ``UsageError`` for a parameter that nobody declares."""
        files = {item.file for item in items if isinstance(item, NotebookItem)}
        known = {name for file in files for name in file.parameters(self.given)}
        unknown = sorted(set(self.given) - known)
        if files and unknown:
            text = f"--notebook-param: no collected notebook has a parameter {unknown[0]!r}"
            if not self._worker:
                raise pytest.UsageError(text)
            self._refused = text  # a worker has only its tests to say it with
        notebooks = [path for file in files for path in file.notebooks_in_it.values()]
        self._shared = len(notebooks) >= WORTH_HOLDING
        self._modules = imported_modules(*notebooks)

    def run(self, file: NotebookFile) -> RunOutcome:
        """Run a notebook or pipeline; ``MlopsError`` for what cannot be run as it is."""
        if self._refused:
            raise UsageError(self._refused)
        found = open_project(file.path, create=False)
        config = load_config(found.root).with_(agent=False)
        project = replace(found, state=self._state(found))
        timeout = file.settings.get("timeout", self.timeout)
        with self._environment(project), self._kernels(config):
            outcome = run_pipeline(
                project,
                config,
                str(file.path),
                file.parameters(self.given),
                register=False,
                timeout=timeout,
                deliver="later",
            )
        if outcome.status == "KILLED":
            if outcome.exit_code == 143:
                pytest.exit("terminated", returncode=143)
            raise KeyboardInterrupt
        if self.kept is not None:
            self._keep(self.kept, file, outcome)
        return outcome

    def close(self) -> None:
        """End what was held, and remove what nobody wants."""
        end_zygotes(_OWNER)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _state(self, project: Project) -> Path:
        """A state folder for the session, with the snapshots that the project has."""
        state = self._folder / project.key
        if not state.exists():
            state.mkdir(mode=0o700)
            if (project.state / "snapshots").is_dir():
                (state / "snapshots").symlink_to(project.state / "snapshots", True)
        return state

    @contextlib.contextmanager
    def _environment(self, project: Project) -> Iterator[None]:
        """What tracked cells in a notebook do stays in the session's folder."""
        ours = {
            "JUPYTER_MLOPS_HOME": str(project.state),
            "JUPYTER_MLOPS_SNAPSHOT_INPUTS": "never",
        }
        before = {name: os.environ.get(name) for name in ours}
        os.environ.update(ours)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value

    @contextlib.contextmanager
    def _kernels(self, config: Config) -> Iterator[None]:
        """Kernels forked from one process that the session holds, where that is worth it."""
        if not (self._shared and config.warm):
            yield
            return
        with warm_kernels(self._modules, holder(_OWNER, config)):
            yield

    def _keep(self, folder: Path, file: NotebookFile, outcome: RunOutcome) -> None:
        shown = file.path.parent
        if shown.is_relative_to(self._root):
            shown = shown.relative_to(self._root)
        target = folder / str(shown).lstrip(os.sep)
        target.mkdir(parents=True, exist_ok=True)
        for step in outcome.steps:
            if step.output is not None:
                shutil.copy(step.output, target / step.output.name)


class NotebookFile(pytest.File):
    """A notebook, or the ``pipeline.yaml`` of a pipeline."""

    notebooks: NotebookSession

    @classmethod
    def from_parent(cls, parent: Any, **kw: Any) -> Any:
        """Make the node, with its session as ``notebooks``; see ``pytest.Collector``."""
        notebooks = kw.pop("notebooks")
        node: Any = super().from_parent(parent, **kw)
        node.notebooks = notebooks
        return node

    def collect(self) -> Iterator[pytest.Item]:
        """One test, or one for each cell."""
        try:
            settings, markers = self.settings, [pytest.mark.notebook]
            nodes = {step: read_notebook(path) for step, path in self.notebooks_in_it.items()}
        except MlopsError as error:
            raise self.CollectError(_said(error)) from None
        markers += [getattr(pytest.mark, name) for name in settings.get("markers", ())]
        for name in ("skip", "xfail"):
            why = settings.get(name)
            if why:
                mark = getattr(pytest.mark, name)
                markers.append(mark(reason=why if isinstance(why, str) else "says its metadata"))
        if self.notebooks.cells:
            cells = [cell for step, node in nodes.items() for cell in _cells(step, node)]
            items: list[NotebookItem] = [
                CellItem.from_parent(
                    self,
                    name=f"{cell.step}-{cell.number}" if self.pipeline else f"cell-{cell.number}",
                    cell=cell,
                )
                for cell in cells
            ]
        else:
            items = [NotebookItem.from_parent(self, name="pipeline" if self.pipeline else "run")]
        for item in items:
            for marker in markers:
                item.add_marker(marker)
            if isinstance(item, CellItem) and item.cell.skipped:
                item.add_marker(pytest.mark.skip(reason="it is tagged skip-execution"))
        yield from items

    @cached_property
    def pipeline(self) -> Any:
        """The pipeline, ``None`` for a notebook."""
        return load_pipeline(self.path.parent) if self.path.name == PIPELINE_FILE else None

    @cached_property
    def notebooks_in_it(self) -> dict[str, Path]:
        """The notebooks that run, by step."""
        if self.pipeline is None:
            return {self.path.stem: self.path}
        return {step.name: self.path.parent / step.notebook for step in self.pipeline.steps}

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What the notebook's metadata say for pytest; ``NotebookError`` for what is no such."""
        if self.pipeline is not None:
            return {}
        found = read_notebook(self.path).metadata.get(_KEY, {})
        kinds: dict[str, Any] = {
            "skip": (str, bool),
            "xfail": (str, bool),
            "markers": list,
            "timeout": (int, float),
        }
        entries: Any = found.items() if isinstance(found, dict) else [("", found)]
        for key, value in entries:
            if key not in kinds or not isinstance(value, kinds[key]):
                raise NotebookError(
                    f"{self.path.name}: its metadata say {_KEY}: {{{key!r}: {value!r}}}",
                    hint="There may be skip and xfail (a reason), markers (a list of names) and "
                    "timeout (seconds).",
                )
        return dict(found)

    def parameters(self, given: Mapping[str, str]) -> dict[str, str]:
        """Those of the given parameters that this notebook or pipeline has."""
        if not given:
            return {}
        known: Collection[str]
        if self.pipeline is not None:
            known = [parameter.name for parameter in self.pipeline.parameters]
        else:
            declared = declared_parameters(read_notebook(self.path), self.path.name)
            known = declared.names if declared.readable else given
        return {name: value for name, value in given.items() if name in known}

    @cached_property
    def outcome(self) -> RunOutcome | Exception:
        """The run, when the first test asks for it; an exception where there is none."""
        try:
            return self.notebooks.run(self)
        except Exception as error:
            return error

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """What is wrong with the file, without our own lines."""
        error = excinfo.value
        return _said(error) if isinstance(error, MlopsError) else super().repr_failure(excinfo)


class NotebookFailed(Exception):
    """A notebook failed: ``error`` as in ``model.ports.ExecutionResult``."""

    def __init__(self, notebook: str, error: Mapping[str, Any]) -> None:
        super().__init__(f"{error.get('ename', 'Error')}: {error.get('evalue', '')}".strip())
        self.notebook = notebook
        self.error = error


class NotebookItem(pytest.Item):
    """A notebook or a pipeline as one test."""

    @property
    def file(self) -> NotebookFile:
        """The file that it is of."""
        parent: Any = self.parent
        file: NotebookFile = parent
        return file

    def runtest(self) -> None:
        """Run it."""
        outcome = self._outcome()
        if outcome.error is not None:
            raise NotebookFailed(self._notebook(outcome.error.get("step")), outcome.error)

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """The cell, its failing line and its traceback."""
        error = excinfo.value
        if isinstance(error, NotebookFailed):
            return FailureText(error, self.path)
        return _said(error) if isinstance(error, MlopsError) else super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where it is: the file, its first line, and the headline of a failure."""
        # pytest makes "::" of the dots in the end of a node's id: this is none.
        return self.path, 0, f"{self.path.name}, {self.name}"

    def _outcome(self) -> RunOutcome:
        outcome = self.file.outcome
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _notebook(self, step: str | None) -> str:
        path, here = self.file.notebooks_in_it.get(step or "", self.path), Path.cwd()
        return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)


class CellItem(NotebookItem):
    """A code cell as a test; the first one runs the notebook."""

    cell: Cell
    cell_seconds: float | None = None

    @classmethod
    def from_parent(cls, parent: Any, **kw: Any) -> Any:
        """Make the node, with its ``cell``; see ``pytest.Item``."""
        cell = kw.pop("cell")
        node: Any = super().from_parent(parent, **kw)
        node.cell = cell
        return node

    def runtest(self) -> None:
        """See how the cell has ended."""
        outcome = self._outcome()
        step = next(step for step in outcome.steps if step.name == self.cell.step)
        executed = {} if step.output is None else _executed(step.output)
        record = executed.get(self.cell.number, {})
        self.cell_seconds = float(record.get("wall", 0.0))
        error = step.error
        if error is None and outcome.error is not None and outcome.error.get("step") is None:
            error = outcome.error  # what the pipeline declares is not there
        if error is not None and self._is_mine(error, executed):
            raise NotebookFailed(self._notebook(self.cell.step), error)
        if record.get("state", "not run") == "not run":
            pytest.skip("not run: " + ("a cell before it failed" if error else "the run had ended"))

    def _is_mine(self, error: Mapping[str, Any], executed: Mapping[int, Any]) -> bool:
        """Whether the failure is shown here: where it happened, else where the run had come to."""
        own = [item.cell for item in self.file_items() if item.cell.step == self.cell.step]
        places = [cell.index for cell in own]
        if error.get("index") in places:
            return bool(error["index"] == self.cell.index)
        open_ = [c for c in own if executed.get(c.number, {}).get("state", "not run") == "not run"]
        return self.cell == (open_[0] if open_ else own[-1])

    def file_items(self) -> list[CellItem]:
        """The tests of the same file that run."""
        return [
            i for i in self.session.items if isinstance(i, CellItem) and i.parent is self.parent
        ]


class FailureText:
    """A failure as pytest shows it.

    ``reprcrash`` is what its summaries and the JUnit file take.
    """

    def __init__(self, failed: NotebookFailed, path: Path) -> None:
        error = failed.error
        place = failed.notebook
        if error.get("cell"):
            place += f", In [{error['cell']}]"
            if error.get("lineno"):
                place += f", line {error['lineno']}"
        self.reprcrash = SimpleNamespace(
            path=str(path), lineno=error.get("lineno") or 0, message=str(failed)
        )
        self._lines = [(place, {"bold": True}), ("", {})]
        self._lines += _marked(str(error.get("source") or ""), error.get("lineno"))
        self._lines += [(f"E   {line}", {"red": True}) for line in str(failed).splitlines()]
        for title, key in (("Traceback", "traceback"), ("Printed last", "output")):
            text = str(error.get(key) or "").strip("\n")
            if text:
                self._lines += [("", {}), (f"{title}:", {"bold": True})]
                self._lines += [(line, {}) for line in text.splitlines()]

    def toterminal(self, writer: Any) -> None:
        """Print it, in colours where there are any."""
        for line, markup in self._lines:
            writer.line(line, **markup)

    def __str__(self) -> str:
        # Where a failure is passed on as text, its first line stands for it.
        lines = [self.reprcrash.message, "", *(line for line, _ in self._lines)]
        return "\n".join(lines)


def _marked(source: str, lineno: int | None) -> list[tuple[str, dict[str, bool]]]:
    """The lines of a cell, the failing one marked as pytest does it."""
    if not source.strip():
        return []
    lines = source.splitlines()
    first, last = 0, len(lines)
    if len(lines) > 2 * _AROUND:
        middle = lineno or len(lines)
        first, last = max(0, middle - _AROUND), min(len(lines), middle + _AROUND)
    shown: list[tuple[str, dict[str, bool]]] = []
    for number, line in enumerate(lines[first:last], start=first + 1):
        failing = number == lineno
        shown.append((f"{'>' if failing else ' '}   {line}", {"bold": True} if failing else {}))
    return shown


def _cells(step: str, node: Any) -> Iterator[Cell]:
    """The cells of a notebook that are tests: code that is not empty."""
    number = 0
    for index, cell in enumerate(node.cells):
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "code" and "injected-parameters" not in tags:
            number += 1
            if cell.source.strip():
                yield Cell(step, index, number, "skip-execution" in tags)


def _executed(path: Path) -> dict[int, dict[str, Any]]:
    """What an executed notebook says of its code cells, by their number in the source."""
    cells = (
        cell
        for cell in read_notebook(path).cells
        if cell.cell_type == "code" and "injected-parameters" not in cell.metadata.get("tags", [])
    )
    return {n: dict(cell.metadata.get("mlops", {})) for n, cell in enumerate(cells, start=1)}


def _said(error: MlopsError) -> str:
    return f"{error.message}\n{error.hint}" if error.hint else error.message
