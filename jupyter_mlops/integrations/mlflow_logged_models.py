"""The models of one run in MLflow: storing them once, and making versions of them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import MlopsError, NotFoundError, ServiceError, UsageError
from ..model.events import ModelRecord, RunRecord
from ..model.ports import BuiltModel
from .mlflow_reading import local_folder, run_summary
from .mlflow_session import check_guard, pages
from .mlflow_writing import (
    MODEL_KEY,
    RUN_ID,
    SYSTEM,
    metric_points,
    model_name,
    param_values,
)

__all__ = ["LoggedModels"]

_VERSIONS = "mlflow.modelVersions"  # the tag by which MLflow's own pages link model and versions


class LoggedModels:
    """The logged models of the run ``mlflow_id``.

    ``ids`` and ``left_out`` fill while ``store`` works: MLflow's model id, or the reason why not,
    by ``ModelRecord.name``.
    """

    def __init__(self, client: Any, experiment: str, mlflow_id: str) -> None:
        self._client = client
        self._experiment = experiment
        self._mlflow_id = mlflow_id
        self.ids: dict[str, str] = {}
        self.left_out: dict[str, str] = {}

    def stored(self) -> dict[str, str]:
        """What is stored already, by the name that it has in the run."""
        return {_name_of(model): model.model_id for model in self._found() if _ready(model)}

    def store(
        self,
        run: RunRecord,
        build: Callable[[ModelRecord], BuiltModel],
        guard: Callable[[], bool],
        *,
        full: bool,
    ) -> Iterator[str]:
        """Store the run's models that are not yet; yield warnings.

        Raises ``ServiceError`` when MLflow does not answer, ``ConflictError`` when the guard says
        no.  A model that cannot be built is left out with the reason.
        """
        existing: dict[str, list[Any]] = {}
        for model in self._found() if run.models else ():
            existing.setdefault(model.tags.get(MODEL_KEY, ""), []).append(model)
        for record in run.models:
            twins = existing.get(_key(run, record), [])
            ready = next((model for model in twins if _ready(model)), None)
            if ready is not None:
                self.ids[record.name] = ready.model_id
            elif not full:
                self.left_out[record.name] = "capture is minimal"
            elif record.blob is None:
                self.left_out[record.name] = record.reason or "its bytes were not kept"
            else:
                yield from self._build_and_store(run, record, twins, build, guard)
        for name, reason in self.left_out.items():
            yield f"model {name} was not stored: {reason}"

    def choose(self, run: Any, name: str | None) -> Any:
        """The stored model to register.

        Raises ``UsageError`` when there are several and no name, ``NotFoundError`` without any.
        """
        models = {_name_of(model): model for model in self._found() if _ready(model)}
        if name is None and len(models) == 1:
            return next(iter(models.values()))
        if name is not None and name in models:
            return models[name]
        summary = run_summary(run, None)
        if not models or name is not None:
            wanted = "no stored model" if name is None else f"no stored model {name!r}"
            reasons = "; ".join(
                f"{row.get('name')}: {row['reason']}"
                for row in summary.models
                if row.get("reason") and name in (None, row.get("name"))
            )
            raise NotFoundError(
                f"run {summary.name} ({summary.run_id}) has {wanted}"
                + (f" ({reasons})" if reasons else ""),
                hint=f"It has stored: {', '.join(models)}." if models else None,
            )
        raise UsageError(
            f"run {summary.name} ({summary.run_id}) has several models: {', '.join(models)}",
            hint="Say which with --model NAME.",
            models=list(models),
        )

    def make_version(self, name: str, run: Any, logged: Any, key: str, timeout: float) -> Any:
        """Create a version of the registered model ``name`` from a stored model."""
        summary = run_summary(run, None)
        tags = {
            RUN_ID: summary.run_id,
            MODEL_KEY: key,
            "mlops.run_name": summary.name,
            "mlops.notebook": summary.notebook,
            "mlops.pipeline": summary.pipeline,
            "mlops.class_name": logged.tags.get("mlops.class_name"),
        }
        version = self._client.create_model_version(
            name,
            f"models:/{logged.model_id}",
            run_id=self._mlflow_id,
            tags={tag: value for tag, value in tags.items() if value},
            model_id=logged.model_id,
            await_creation_for=max(1, round(timeout)),
        )
        return self._client.get_model_version(name, version.version)

    def link_version(self, logged: Any, name: str, version: int) -> None:
        """Note the version on the logged model, as MLflow's own registering does."""
        links = _json_list(logged.tags.get(_VERSIONS))
        if not any(
            isinstance(link, dict)
            and link.get("name") == name
            and str(link.get("version")) == str(version)
            for link in links
        ):
            links.append({"name": name, "version": version})
            self._client.set_logged_model_tags(logged.model_id, {_VERSIONS: json.dumps(links)})

    def _found(self) -> list[Any]:
        search = self._client.search_logged_models
        text = f"source_run_id = '{self._mlflow_id}'"

        def in_experiment(filter_string: str | None, page_token: str | None) -> Any:
            return search([self._experiment], filter_string, page_token=page_token)

        return sorted(pages(in_experiment, text), key=lambda m: (m.creation_timestamp, m.name))

    def _build_and_store(
        self,
        run: RunRecord,
        record: ModelRecord,
        unfinished: list[Any],
        build: Callable[[ModelRecord], BuiltModel],
        guard: Callable[[], bool],
    ) -> Iterator[str]:
        try:
            built = build(record)
        except ServiceError:
            raise
        except MlopsError as error:
            hint = f" ({error.hint.rstrip('.')})" if error.hint else ""
            self.left_out[record.name] = f"{error.message}{hint}"
            return
        try:
            check_guard(guard)
            logged = unfinished[0] if unfinished else self._create(run, record, built)
            self._upload(logged, built.folder)
            self._client.finalize_logged_model(logged.model_id, "READY")
            self._link(run, logged.model_id, new=not unfinished)
        finally:
            shutil.rmtree(built.folder, ignore_errors=True)
        self.ids[record.name] = logged.model_id
        yield from (f"model {record.name}: {text}" for text in built.warnings)

    def _create(self, run: RunRecord, record: ModelRecord, built: BuiltModel) -> Any:
        tags = {
            MODEL_KEY: _key(run, record),
            RUN_ID: run.run_id,
            "mlops.class_name": built.class_name,
            "mlops.verified": built.verified,
            "mlops.format": built.format,
        }
        if built.consent is not None:
            tags["mlops.consent"] = built.consent
        for name in ("mlflow.user", "mlflow.source.name", "mlflow.source.type"):
            if name in run.tags:
                tags[name] = run.tags[name]
        return self._client.create_logged_model(
            self._experiment,
            name=model_name(record.name),
            source_run_id=self._mlflow_id,
            tags=tags,
            params=dict(list(param_values(run).items())[:100]),
        )

    def _upload(self, logged: Any, folder: Path) -> None:
        """Copy the folder into the model's place, durably where that is on this machine."""
        _name_the_model(folder / "MLmodel", logged, self._mlflow_id)
        self._client.log_model_artifacts(logged.model_id, str(folder))
        place = local_folder(logged.artifact_location)
        if place is not None:
            _sync(place)

    def _link(self, run: RunRecord, model_id: str, *, new: bool) -> None:
        """Show the model as the run's output, and the run's metrics on the model."""
        entities = import_module("mlflow.entities")
        linked: set[str] = set()
        if not new:  # One that was made just now is linked to nothing yet.
            outputs = self._client.get_run(self._mlflow_id).outputs
            linked = {output.model_id for output in (outputs.model_outputs if outputs else [])}
        if model_id not in linked:
            self._client.log_outputs(self._mlflow_id, [entities.LoggedModelOutput(model_id, 0)])
        # Exactly the points that the run has: MLflow would take any other for one more of its own.
        last = {point[0]: point for point in sorted(metric_points(run), key=lambda point: point[3])}
        metrics = [
            entities.Metric(name, value, moment, step, model_id=model_id, run_id=self._mlflow_id)
            for name, value, moment, step in last.values()
            if not name.startswith(SYSTEM)
        ]
        for start in range(0, len(metrics), 900):
            self._client.log_batch(self._mlflow_id, metrics[start : start + 900], synchronous=True)


def _key(run: RunRecord, record: ModelRecord) -> str:
    return f"{run.run_id}/{record.name}"


def _name_of(model: Any) -> str:
    """``ModelRecord.name`` of our models, MLflow's name of others."""
    return str(model.tags.get(MODEL_KEY, "").partition("/")[2] or model.name)


def _ready(model: Any) -> bool:
    return str(model.status).rpartition(".")[2] == "READY"


def _name_the_model(path: Path, logged: Any, mlflow_run_id: str) -> None:
    """Write into ``MLmodel`` what MLflow knows only now: the model's id, run and place."""
    import yaml

    # libyaml's classes are many times as fast, where PyYAML was built with them.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    data = yaml.load(path.read_bytes(), Loader=loader)  # noqa: S506 - both are the safe one
    data |= {
        "artifact_path": logged.artifact_location,
        "model_id": logged.model_id,
        "model_uuid": logged.model_id,
        "run_id": mlflow_run_id,
    }
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    path.write_text(yaml.dump(data, Dumper=dumper, sort_keys=True), encoding="utf-8")


def _sync(folder: Path) -> None:
    """The spooled bytes are removed once the model is stored: until then it must be on disk."""
    for path in (*folder.rglob("*"), folder):
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _json_list(text: str | None) -> list[Any]:
    try:
        value = json.loads(text or "[]")
    except ValueError:
        return []
    return value if isinstance(value, list) else []
