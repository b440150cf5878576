"""The run of a tracked cell, open to MLflow's fluent API and to autologging while the cell runs.

The run is made beforehand and offered to MLflow as it offers runs itself: by ``MLFLOW_RUN_ID``,
which ``mlflow.start_run`` adopts.  MLflow asks for that variable in one place; during the cell it
asks us there, because what the variable alone says can become wrong: a person who sets another
server or experiment in the cell would get an exception for a run that is not there, and a value
logged after a fit would open a second run.  Nothing is started for the person: their own
``start_run`` would then raise.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from ..config import absolute_uri, public_uri
from ..errors import UsageError
from ..model.events import RunStarted
from .mlflow_environment import check_server, translate
from .mlflow_session import MlflowSession, mlflow_error
from .mlflow_writing import ADOPTED, CHILD_OF, RUN_ID, clean_names, milliseconds

__all__ = ["CellRun", "open_run"]

_RUN = "MLFLOW_RUN_ID"
_URI = "MLFLOW_TRACKING_URI"
_CONTEXT = "MLFLOW_RUN_CONTEXT"  # JSON of tags that every run gets which is made meanwhile
_EXPERIMENT = "MLFLOW_EXPERIMENT_ID"  # `set_experiment` sets it
_PARENT = "mlflow.parentRunId"
_IMPLICIT = "_get_or_start_run"  # what calls `start_run` for a bare `log_metric`


def open_run(
    uri: str,
    *,
    artifact_root: Path,
    experiment: str,
    started: RunStarted,
    tags: Mapping[str, str],
    timeout: float,
) -> CellRun | None:
    """Make the run of a cell at ``uri`` and offer it; ``None`` where the person has one open.

    ``experiment`` is used unless the person has set one.  Raises ``UsageError`` when they log to
    another place than ``uri``, ``ServiceError`` when that does not answer within ``timeout``
    seconds a request.
    """
    mlflow: Any = import_module("mlflow")
    fluent: Any = import_module("mlflow.tracking.fluent")
    around = getattr(fluent, _RUN, None)  # the offer of a run that this one is nested in
    named = os.environ.get(_RUN)
    if isinstance(around, _Variable) and named == around.run.run_id:
        named = None
    if named or mlflow.active_run() is not None:
        return None
    if not all(hasattr(fluent, name) for name in (_RUN, "_active_experiment_id")):
        raise UsageError(f"MLflow {mlflow.__version__} adopts runs in a way that is not known here")
    chosen = mlflow.is_tracking_uri_set()
    address = absolute_uri(str(mlflow.get_tracking_uri()), Path.cwd())
    if chosen and address.rstrip("/") != uri.rstrip("/"):
        raise UsageError(f"MLflow logs to {public_uri(address)}, this project to {public_uri(uri)}")
    check_server(uri, timeout)
    run = CellRun(uri, artifact_root, experiment, timeout)
    with run.patience():
        run.make(started, tags)
    run.offer()
    return run


class CellRun(MlflowSession):
    """One run on offer: ``close`` takes it back.  Ids are MLflow's."""

    run_id: str = ""
    experiment_id: str = ""
    experiment: str = ""

    def make(self, started: RunStarted, tags: Mapping[str, str]) -> None:
        """Create the run."""
        mlflow: Any = import_module("mlflow")
        self._fluent: Any = import_module("mlflow.tracking.fluent")
        self._client = mlflow.MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        self._theirs = self._fluent._active_experiment_id
        self.experiment_id = self._choose(mlflow, started)
        self.experiment = self._experiment_name(self._client, self.experiment_id)
        own = {
            RUN_ID: started.run_id,
            ADOPTED: "true",
            "mlops.session": started.session,
            "mlops.kind": started.kind,
            "mlops.notebook": started.notebook,
            CHILD_OF: started.parent,
        }
        wanted = {**started.tags, **tags, **{k: v for k, v in own.items() if v is not None}}
        names = clean_names(wanted)
        made = self._client.create_run(
            self.experiment_id,
            start_time=milliseconds(started.started),
            tags={names[k]: str(v)[:5000] for k, v in wanted.items()},
            run_name=started.name or started.run_id,
        )
        self.run_id = made.info.run_id
        self._tags = {_PARENT: self.run_id, CHILD_OF: started.run_id}

    def offer(self) -> None:
        """Let the person's calls of MLflow find the run."""
        mlflow: Any = import_module("mlflow")
        self._before = {name: os.environ.get(name) for name in (_RUN, _URI, _CONTEXT, _EXPERIMENT)}
        self._address_is_ours = not mlflow.is_tracking_uri_set()
        if self._address_is_ours:
            os.environ[_URI] = self.uri
        self._here = mlflow.get_tracking_uri()
        self._fluent._active_experiment_id = self.experiment_id
        around = getattr(self._fluent, _RUN)
        nested = isinstance(around, _Variable)
        self._theirs_context = around.run._theirs_context if nested else self._before[_CONTEXT]
        self._offered = _Variable(around, self)
        setattr(self._fluent, _RUN, self._offered)
        self.taken = False
        os.environ[_RUN] = self.run_id
        os.environ[_CONTEXT] = self._context()

    def wanted(self, caller: Any) -> str | None:
        """The run that ``mlflow.start_run``, whose frame is ``caller``, is to adopt now."""
        named = os.environ.get(_RUN)
        if named and named != self.run_id:
            return named  # the person's
        mlflow: Any = sys.modules["mlflow"]
        here = mlflow.get_tracking_uri() == self._here
        os.environ.pop(_RUN, None)
        if here:
            os.environ[_CONTEXT] = self._context()
        else:  # nothing of ours is there
            _put_back({_CONTEXT: self._before[_CONTEXT]})
            if self._fluent._active_experiment_id == self.experiment_id and not self._chose():
                self._fluent._active_experiment_id = self._theirs
        asked = caller.f_locals.get("experiment_id")
        current = self._fluent._active_experiment_id
        elsewhere = {None, current, asked and str(asked)} - {None, self.experiment_id}
        implicit = caller.f_back is not None and caller.f_back.f_code.co_name == _IMPLICIT
        if not here or elsewhere or (self.taken and not implicit):
            return None
        self.taken = True
        os.environ[_RUN] = self.run_id  # which `start_run` removes
        return self.run_id

    def close(self) -> tuple[dict[str, str], dict[str, float]]:
        """Take the offer back; return the parameters and metrics that were logged meanwhile.

        Raises ``ServiceError`` when the server does not answer; the offer is taken back before.
        """
        mlflow: Any = import_module("mlflow")
        open_ones = False
        with self.patience():
            try:
                open_ones = self._end_runs(mlflow)
            finally:
                self._take_back(stay=open_ones)
            data = self._client.get_run(self.run_id).data
        return dict(data.params), dict(data.metrics)

    @contextlib.contextmanager
    def patience(self) -> Iterator[None]:
        """Ask MLflow with little patience; what goes wrong comes out as our errors."""
        settings = {
            "MLFLOW_HTTP_REQUEST_TIMEOUT": str(max(1, round(self._timeout))),
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        }
        before = {name: os.environ.get(name) for name in settings}
        os.environ.update(settings)
        try:
            yield
        except (mlflow_error(), OSError) as error:
            raise translate(error, self.uri) from error
        finally:
            _put_back(before)

    def _choose(self, mlflow: Any, started: RunStarted) -> str:
        """The experiment: the cell's own, else the one that the person has set, else ours."""
        name = started.experiment
        if name is None and self._theirs is not None:
            # It was set while MLflow had the address that it has without us.
            theirs = mlflow.MlflowClient(tracking_uri=mlflow.get_tracking_uri())
            with contextlib.suppress(mlflow_error()):
                name = theirs.get_experiment(self._theirs).name
        return self._experiment(self._client, name or self._experiment_default)

    def _chose(self) -> bool:
        """Whether the person has set an experiment in the cell."""
        return os.environ.get(_EXPERIMENT) != self._before[_EXPERIMENT]

    def _context(self) -> str:
        try:
            theirs = dict(json.loads(self._theirs_context or "{}"))
        except (TypeError, ValueError):
            theirs = {}
        return json.dumps({**self._tags, **theirs})

    def _end_runs(self, mlflow: Any) -> bool:
        """End the run, and those nested in it, if it is still open; return whether one stays."""
        stack = [run.info.run_id for run in self._fluent._active_run_stack.get()]
        if self.run_id in stack:
            for _ in stack[stack.index(self.run_id) :]:
                mlflow.end_run()
        return mlflow.active_run() is not None

    def _take_back(self, *, stay: bool) -> None:
        """Put back what was there before, but for what the person has changed since.

        An experiment that they have set in the cell, and a run that they left open, are on our
        server: then the address stays, so that both stay valid.
        """
        fluent = self._fluent
        above = getattr(fluent, _RUN)
        if above is not self._offered:  # runs of several threads need not end in order
            while isinstance(above, _Variable) and above.original is not self._offered:
                above = above.original
            if isinstance(above, _Variable):
                above.original = self._offered.original
                above.run.inherit(self)
            return
        setattr(fluent, _RUN, self._offered.original)
        if os.environ.get(_RUN) in (None, self.run_id):
            _put_back({_RUN: self._before[_RUN]})
        if os.environ.get(_CONTEXT) in (None, self._context()):
            _put_back({_CONTEXT: self._before[_CONTEXT]})
        chose = self._chose()
        if fluent._active_experiment_id == self.experiment_id and not chose:
            fluent._active_experiment_id = self._theirs
        if self._address_is_ours and os.environ.get(_URI) == self.uri and not (chose or stay):
            _put_back({_URI: self._before[_URI]})

    def inherit(self, ended: CellRun) -> None:
        """Put back, in the end, what was there before a run that this one was nested in."""
        for name in (_RUN, _CONTEXT, _EXPERIMENT):
            self._before[name] = ended._before[name]
        self._theirs = ended._theirs
        if ended._address_is_ours:
            self._address_is_ours = True
            self._before[_URI] = ended._before[_URI]


class _Variable:
    """MLflow's own description of ``MLFLOW_RUN_ID``, that asks the cell's run for its value."""

    def __init__(self, original: Any, run: CellRun) -> None:
        self.original = original
        self.run = run

    def get(self) -> Any:
        """What ``mlflow.start_run`` is to adopt."""
        try:
            return self.run.wanted(sys._getframe(1))
        except Exception:  # the person's call goes on as without us
            return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


def _put_back(before: Mapping[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
