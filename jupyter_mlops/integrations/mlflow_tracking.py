"""The tracking backend: MLflow, on its own SQLite store or any tracking server.

Every write first looks for what an earlier, interrupted attempt has left, by a tag that carries our
id: ``mlops.run_id`` on runs, ``mlops.model_key`` (run id and model name) on logged models and
versions.  Status and end time are written last, so a run that has ended is complete; one that was
made for the person's own calls of MLflow, which may end it, has a tag of its own for that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import ConflictError
from ..model.events import EnvironmentRecord, ModelRecord, RunAmended, RunRecord
from ..model.ports import BuiltModel, Delivered, RunPage
from ..model.registry import RunSummary
from .mlflow_changes import MlflowChanges
from .mlflow_claims import KEPT, claim, is_complete
from .mlflow_content import log_artifacts, log_inputs, log_tags, log_values
from .mlflow_environment import check_server
from .mlflow_logged_models import LoggedModels
from .mlflow_reading import run_summary
from .mlflow_registry import MlflowRegistry
from .mlflow_session import check_guard, tagged
from .mlflow_writing import (
    ADOPTED,
    CHILD_OF,
    DELIVERED,
    RUN_ID,
    amended_tags,
    milliseconds,
    models_tags,
    run_tags,
)

__all__ = ["MlflowBackend", "connect"]

_PAGE = 500
_PARENT = "mlflow.parentRunId"
_ACTIVE, _DELETED, _ALL = 1, 2, 3  # mlflow.entities.ViewType


def connect(
    uri: str, *, artifact_root: Path, experiment_default: str, timeout: float
) -> MlflowBackend:
    """Return the backend at ``uri``; contacts nobody yet.

    ``artifact_root`` holds the artifacts of experiments that are made on a database; a server has
    its own place.  ``timeout`` is in seconds, for one request.
    """
    return MlflowBackend(uri, artifact_root, experiment_default, timeout)


class MlflowBackend(MlflowChanges, MlflowRegistry):
    """Implements ``model.ports.TrackingBackend``."""

    def prepare(self) -> None:
        """Import MLflow and open a store that is a file; a server is not asked."""
        with self._session():
            pass

    def check(self, timeout: float) -> None:
        """Raise ``ServiceError`` unless the server answers within ``timeout`` seconds."""
        check_server(self.uri, timeout)

    def find_run(self, run_id: str, experiment: str | None = None) -> str | None:
        """MLflow's id of our run, in one experiment or in all of them."""
        with self._session() as client:
            if experiment is None:
                ids = list(self._all_experiments(client))
            else:
                found = client.get_experiment_by_name(experiment)
                ids = [] if found is None else [found.experiment_id]
            run = self._find(client, run_id, ids)
            return None if run is None else str(run.info.run_id)

    def deliver(
        self,
        run: RunRecord,
        *,
        read_blob: Callable[[str], bytes],
        build_model: Callable[[ModelRecord], BuiltModel],
        full: bool,
        guard: Callable[[], bool],
        environment: EnvironmentRecord | None = None,
        has_children: bool = True,
    ) -> Delivered:
        """Store the run with its models and files; see ``model.ports.TrackingBackend``."""
        with self._session() as client:
            found = self._existing(client, run)
            if found is None:
                experiment = self._experiment(client, run.experiment or self._experiment_default)
                found = self._create(client, experiment, run, full, guard)
            mlflow_id: str = found.info.run_id
            name = self._experiment_name(client, found.info.experiment_id)
            models = LoggedModels(client, found.info.experiment_id, mlflow_id)
            if found.info.lifecycle_stage == "deleted":
                return Delivered(run_summary(found, name), removed=True)
            if is_complete(found):
                return Delivered(run_summary(found, name), models.stored())
            theirs = claim(client, found, run, full=full)
            warnings = list(log_values(client, mlflow_id, run, theirs))
            log_inputs(client, mlflow_id, run, full=full)
            warnings += models.store(run, build_model, guard, full=full)
            warnings += log_artifacts(
                client, found.info, run, run.files, environment, read_blob, full=full
            )
            log_tags(client, mlflow_id, models_tags(run.models, models.ids, models.left_out))
            self._link_family(client, found, run, has_children=has_children)
            check_guard(guard)
            client.set_terminated(mlflow_id, run.status, milliseconds(run.ended))
            if ADOPTED in found.data.tags:
                client.set_tag(mlflow_id, DELIVERED, "true")
            summary = run_summary(client.get_run(mlflow_id), name)
            return Delivered(summary, models.ids, models.left_out, tuple(warnings))

    def amend(
        self,
        run: RunRecord,
        changes: RunAmended,
        *,
        read_blob: Callable[[str], bytes],
        full: bool,
        guard: Callable[[], bool],
        environment: EnvironmentRecord | None = None,
    ) -> Delivered | None:
        """Add to a delivered run what became known later; see ``model.ports.TrackingBackend``."""
        with self._session() as client:
            found = self._existing(client, run)
            if found is None:
                return None
            mlflow_id: str = found.info.run_id
            name = self._experiment_name(client, found.info.experiment_id)
            if found.info.lifecycle_stage == "deleted":
                return Delivered(run_summary(found, name), removed=True)
            check_guard(guard)
            log_inputs(client, mlflow_id, run, full=full)
            warnings = log_artifacts(
                client, found.info, run, changes.files, environment, read_blob, full=full
            )
            tags = amended_tags(run, changes, full=full)
            log_tags(client, mlflow_id, {k: v for k, v in tags.items() if k not in KEPT})
            summary = run_summary(client.get_run(mlflow_id), name)
            return Delivered(summary, warnings=tuple(warnings))

    def run(self, mlflow_run_id: str) -> RunSummary | None:
        """One run as MLflow has it now; ``None`` if it is gone or deleted."""
        with self._session() as client:
            run = self._get_run(client, mlflow_run_id)
            if run is None or run.info.lifecycle_stage == "deleted":
                return None
            return run_summary(run, self._experiment_name(client, run.info.experiment_id))

    def runs(self, experiments: Sequence[str] | None, since: float, limit: int) -> RunPage:
        """Runs started at or after ``since`` (seconds), newest first, and the deleted ones."""
        with self._session() as client:
            known = self._all_experiments(client)
            ids = [i for i, name in known.items() if experiments is None or name in experiments]
            found, complete = self._search_runs(client, ids, since, limit, _ACTIVE)
            gone, _ = self._search_runs(client, ids, since, limit, _DELETED)
            return RunPage(
                tuple(run_summary(run, known.get(run.info.experiment_id)) for run in found),
                frozenset(str(run.info.run_id) for run in gone),
                complete,
            )

    def delete_run(self, mlflow_run_id: str) -> None:
        """Delete a run softly: ``MlflowClient().restore_run(id)`` brings it back."""
        with self._session() as client:
            client.delete_run(mlflow_run_id)

    def _existing(self, client: Any, run: RunRecord) -> Any:
        """What an earlier attempt, or the cell itself, has made of the run."""
        if run.adopted is not None:
            made = self._get_run(client, run.adopted)
            if made is not None and made.data.tags.get(RUN_ID) == run.run_id:
                return made
        if run.status == "KILLED":  # in the cell, maybe, where the person chose the experiment
            return self._find(client, run.run_id, list(self._all_experiments(client)))
        experiment = self._experiment(client, run.experiment or self._experiment_default)
        return self._find(client, run.run_id, [experiment])

    def _find(self, client: Any, run_id: str, experiments: list[str]) -> Any:
        """Our run, one that is not deleted first; ``None`` if it was never created."""
        if not experiments or not run_id.isalnum():
            return None
        found = client.search_runs(experiments, tagged(RUN_ID, run_id), _ALL, 50)
        return min(found, key=lambda run: run.info.lifecycle_stage == "deleted", default=None)

    def _create(
        self, client: Any, experiment: str, run: RunRecord, full: bool, guard: Callable[[], bool]
    ) -> Any:
        check_guard(guard)
        made = client.create_run(
            experiment,
            start_time=milliseconds(run.started),
            tags=run_tags(run, full=full),
            run_name=run.name or run.run_id,
        )
        # A process that was stopped between the search and here, for longer than its lease, has
        # now made a second copy.  Whoever holds the lease keeps theirs.
        mine = guard()
        ours = client.search_runs([experiment], tagged(RUN_ID, run.run_id))
        twins = [run.info.run_id for run in ours if run.info.run_id != made.info.run_id]
        for twin in twins if mine else twins and [made.info.run_id]:
            client.delete_run(twin)
        if not mine:
            raise ConflictError("the delivery has passed to another process")
        return made

    def _link_family(self, client: Any, made: Any, run: RunRecord, *, has_children: bool) -> None:
        """Set MLflow's own parent tag, whichever of parent and child arrives first."""
        mlflow_id = made.info.run_id
        if run.parent and _PARENT not in made.data.tags:
            parent = self._find(client, run.parent, list(self._all_experiments(client)))
            if parent is not None:
                client.set_tag(mlflow_id, _PARENT, parent.info.run_id)
        if not has_children:
            return
        ids = list(self._all_experiments(client))
        for child in client.search_runs(ids, tagged(CHILD_OF, run.run_id), max_results=1000):
            if child.data.tags.get(_PARENT) != mlflow_id:
                client.set_tag(child.info.run_id, _PARENT, mlflow_id)

    def _search_runs(
        self, client: Any, ids: list[str], since: float, limit: int, view: int
    ) -> tuple[list[Any], bool]:
        """Runs of one view, newest first, and whether these are all."""
        found: list[Any] = []
        token: str | None = None
        while ids and len(found) < limit:
            page = client.search_runs(
                ids,
                f"attributes.start_time >= {milliseconds(since)}",
                view,
                min(_PAGE, limit - len(found)),
                ["attributes.start_time DESC"],
                token,
            )
            found.extend(page)
            token = page.token
            if not token:
                return found, True
        return found, not ids
