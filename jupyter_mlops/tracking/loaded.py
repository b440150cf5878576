"""``load_run``: a recorded run's own objects, back in Python."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from ..config import Config, load_config
from ..errors import CorruptError, NotFoundError, UsageError
from ..journal import BlobStore
from ..model.events import EnvironmentRecord, InputRecord, ModelRecord
from ..model.wiring import load_port
from ..project import Project, open_project
from .building import check_signature
from .details import RunDetails, read_run_file, run_details
from .page import table_html
from .target import open_backend
from .wording import moment, seconds, value

__all__ = ["Run", "load_run"]


class Run:
    """A recorded run: what it was given and what came of it.

    Values are read at once, models and files when they are asked for.
    """

    def __init__(self, project: Project, config: Config, details: RunDetails) -> None:
        self._project = project
        self._config = config
        self._details = details

    @property
    def id(self) -> str:
        """Our run id; MLflow's for a run that is not ours."""
        return self._details.run_id

    @property
    def name(self) -> str:
        """Its name."""
        return self._details.name

    @property
    def status(self) -> str:
        """``FINISHED``, ``FAILED``, ``KILLED`` or ``RUNNING``."""
        return self._details.summary.status

    @property
    def note(self) -> str | None:
        """What a person wrote to it."""
        return self._details.summary.note

    @property
    def params(self) -> dict[str, Any]:
        """Parameters; text where MLflow alone knows the run."""
        return dict(self._details.record.params)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """What its fitted estimators say of themselves."""
        return dict(self._details.record.hyperparameters)

    @property
    def metrics(self) -> dict[str, float]:
        """Metrics by name."""
        return dict(self._details.record.metrics)

    @property
    def series(self) -> dict[str, list[list[float]]]:
        """Logged series: metric -> ``[step, value, time]``, time in seconds since the epoch."""
        return {name: list(points) for name, points in self._details.record.series.items()}

    @property
    def inputs(self) -> dict[str, InputRecord]:
        """The data that its result depends on, by name: digest, rows, schema, source."""
        return {item.name: item for item in self._details.record.inputs}

    @property
    def files(self) -> tuple[str, ...]:
        """Names of what was kept beside it: figures, tables, output; see ``file``."""
        return tuple(item.name for item in self._details.record.files)

    @property
    def models(self) -> dict[str, str]:
        """Its fitted models: name -> class; see ``model``."""
        return {model.name: model.class_name for model in self._details.record.models}

    @property
    def tags(self) -> dict[str, str]:
        """Its tags."""
        return dict(self._details.tags)

    @property
    def source(self) -> str | None:
        """The cell as it was executed."""
        return self._details.record.source

    @property
    def environment(self) -> EnvironmentRecord | None:
        """Interpreter, packages with versions, lock and hardware."""
        return self._details.environment

    @property
    def details(self) -> RunDetails:
        """Everything else that is known of it."""
        return self._details

    def model(self, name: str | None = None) -> Any:
        """Load a fitted model; ``name`` says which where there are several.

        Bytes that a session of this user has signed are unpickled, everything else is loaded by
        skops against this package's own list of types.  Raises ``UsageError`` when there are
        several and no name, ``NotFoundError`` for none of the name or one that was not kept,
        ``UntrustedError`` for one whose loading could run foreign code, and ``ServiceError`` when a
        tracking server has to be asked and does not answer.
        """
        record = self._model(name)
        if record is not None and record.blob is not None:
            try:
                data = BlobStore(self._project.journal).get(record.blob)
            except (NotFoundError, OSError):
                pass  # it has been delivered
            else:
                check_signature(record, data)
                model, _ = load_port("codec")().load_record(record, data)
                return model
        mlflow_id = self._details.summary.mlflow_run_id
        if mlflow_id is None:
            reason = record.reason if record is not None else None
            raise NotFoundError(
                f"the model of run {self.name} was not kept: {reason or 'its bytes are gone'}"
            )
        from ..registry import load_folder  # which is made of this package

        backend = open_backend(self._project, self._config)
        backend.check(self._config.delivery_timeout)
        chosen = name if name is not None or record is None else record.name
        folder = backend.download_run_model(
            mlflow_id, chosen, self._project.state / "models" / "runs"
        )
        return load_folder(_model_folder(folder))

    def figure(self, name: str | None = None) -> bytes:
        """The bytes of a figure (PNG, JPEG or SVG); ``name`` where there are several."""
        return self._read(name, "figure")

    def file(self, name: str) -> bytes:
        """The bytes of a file that was kept; ``NotFoundError`` for none of that name."""
        return self._read(name)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value(v, 40)}" for name, v in list(self.metrics.items())[:3])
        return f"<Run {self.name!r} {self.id} {self.status}{': ' + shown if shown else ''}>"

    def _repr_html_(self) -> str:
        summary = self._details.summary
        took = None if summary.ended is None else max(0.0, summary.ended - summary.started)
        head = (
            f"<strong>{escape(self.name)}</strong> <code>{escape(self.id)}</code> "
            f'<span style="opacity:.75">{escape(self.status)}, '
            f"{escape(moment(summary.started))}, {escape(seconds(took))}</span>"
        )
        rows = [
            *((name, value(v)) for name, v in list(self.metrics.items())[:20]),
            *((name, value(v)) for name, v in list(self.params.items())[:20]),
        ]
        facts = [
            ("model", f"run.model({name!r})  {class_name}")
            for name, class_name in self.models.items()
        ]
        facts += [
            (item.kind, f"run.{'figure' if item.kind == 'figure' else 'file'}({item.name!r})")
            for item in self._details.record.files[:20]
        ]
        tables = [table_html(("", ""), part) for part in (rows, facts) if part]
        return f"<div>{head}{''.join(tables)}</div>"

    def _model(self, name: str | None) -> ModelRecord | None:
        """The record of the model; ``None`` where MLflow alone can know."""
        models = self._details.record.models
        if name is None and len(models) > 1:
            raise UsageError(
                f"run {self.name} has several models: {', '.join(m.name for m in models)}",
                hint=f"Say which: .model({models[0].name!r})",
            )
        found = [model for model in models if name in (None, model.name)]
        if found:
            return found[0]
        if self._details.complete:
            there = f"Its models are: {', '.join(self.models)}." if models else None
            raise NotFoundError(
                f"run {self.name} has no model" + ("" if name is None else f" {name!r}"),
                hint=there,
            )
        return None

    def _read(self, name: str | None, *kinds: str) -> bytes:
        files = [item for item in self._details.record.files if not kinds or item.kind in kinds]
        what = kinds[0] if kinds else "file"
        if name is None and len(files) > 1:
            raise UsageError(
                f"run {self.name} has several {what}s: {', '.join(item.name for item in files)}",
                hint=f"Say which: .{what}({files[0].name!r})",
            )
        for item in files:
            if name in (None, item.name):
                return read_run_file(self._project, self._config, self._details, item)
        names = ", ".join(item.name for item in files)
        raise NotFoundError(
            f"run {self.name} has no {what}" + ("" if name is None else f" {name!r}"),
            hint=f"It has: {names}." if names else None,
        )


def load_run(run: str = "last") -> Run:
    """A recorded run of the project that the current folder belongs to.

    ``run`` is a run id, a unique beginning of one, MLflow's run id, or ``last``, ``-1``, ``-2``.
    Raises ``NotFoundError`` when there is none, ``UsageError`` when several begin so.
    """
    project = open_project(create=False)
    config = load_config(project.root)
    return Run(project, config, run_details(project, config, run))


def _model_folder(folder: Path) -> Path:
    if not (folder / "MLmodel").is_file():
        raise CorruptError(
            f"there is no model in {folder}", hint="Its files may have been moved or removed."
        )
    return folder
