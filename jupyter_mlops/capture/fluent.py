"""MLflow's own calls in a tracked cell land in its run, where the person uses MLflow at all."""

from __future__ import annotations

import ast
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..config import Config, public_uri
from ..errors import ServiceError, UsageError
from ..journal import default_redactor
from ..model.address import (
    default_experiment,
    is_embedded,
    prepare_store,
    tracking_uri,
)
from ..model.events import RunStarted
from ..model.wiring import load_port
from ..project import Project
from .warner import Warner, describe

__all__ = ["Adopted", "Fluent", "FluentValues"]

_TIMEOUT = 1.0  # seconds for a tracking server to answer
_PAUSE = 60.0  # seconds before one that did not answer is asked again
_OURS = "jupyter_mlops.integrations.mlflow_environment"


@dataclass(frozen=True, slots=True)
class Adopted:
    """The MLflow run of a cell that is running; ``run`` is the integration's."""

    mlflow_run_id: str
    experiment: str
    uri: str
    run: Any = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class FluentValues:
    """What the cell logged by MLflow's own calls; ``error`` says why that is not known."""

    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    error: str | None = None


class Fluent:
    """Offers a cell's run to MLflow.  Nothing here raises: without MLflow the cell runs as well."""

    def __init__(self, warn: Warner) -> None:
        self._warn = warn
        self._silent: dict[str, float] = {}  # address -> when it may be asked again (monotonic)

    def begin(
        self,
        started: RunStarted,
        project: Project,
        config: Config,
        python_source: str,
        tags: Mapping[str, str],
        namespace: Mapping[str, Any] | None = None,
    ) -> Adopted | None:
        """Make the run beforehand and offer it to MLflow; ``None`` where MLflow is not used.

        MLflow is imported where the cell itself does so at once.  ``namespace`` tells whether the
        person has MLflow in their hands when it was this package that has imported it.
        """
        try:
            if not _in_use(python_source, namespace):
                return None
            uri = tracking_uri(project, config)
            if time.monotonic() < self._silent.get(uri, 0.0):
                return None
            if is_embedded(project, config):
                prepare_store(project)
            if config.redact:  # this does not pass the journal
                clean = default_redactor().redact_record
                started = RunStarted.from_dict(clean(started.to_dict()))
                tags = clean({"tags": dict(tags)})["tags"]
            run = load_port("fluent")(
                uri,
                artifact_root=project.artifacts,
                experiment=default_experiment(project, config),
                started=started,
                tags=tags,
                timeout=_TIMEOUT,
            )
            return None if run is None else Adopted(run.run_id, run.experiment, uri, run)
        except ImportError:
            return None  # the cell says so itself
        except ServiceError as error:
            self._silent[uri] = time.monotonic() + _PAUSE
            self._warn.once(
                f"fluent {uri}",
                f"what the cell logs by itself with MLflow is not part of the run: {error.message}",
            )
        except UsageError as error:
            self._warn.once(
                f"fluent {uri}",
                "what is logged by itself with MLflow is not part of the run, and stays as it is: "
                f"{error.message}",
            )
        except Exception as error:
            self._warn.once("fluent", f"MLflow's own calls are not in the run: {describe(error)}")
        return None

    def end(self, adopted: Adopted) -> FluentValues:
        """Take the offer back; return what the cell has logged by itself."""
        try:
            params, metrics = adopted.run.close()
            return FluentValues(params, metrics)
        except Exception as error:
            return FluentValues(
                error="what the cell logged with MLflow could not be read from "
                f"{public_uri(adopted.uri)}: {describe(error)}"
            )


def _in_use(source: str, namespace: Mapping[str, Any] | None) -> bool:
    """Whether the cell can call MLflow: it is imported already, not by us alone, or by the cell."""
    module = sys.modules.get("mlflow")
    if module is None or not hasattr(module, "MlflowClient"):
        return "mlflow" in source and _imports_mlflow(source)
    if not getattr(sys.modules.get(_OURS), "brought", False):
        return True
    values = list((namespace or {}).values())
    return "mlflow" in source or any(value is module for value in values)


def _imports_mlflow(source: str) -> bool:
    """Whether running the source imports MLflow, not only defines a function that would."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    for node in _run_at_once(body):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        else:
            continue
        if any(name.partition(".")[0] == "mlflow" for name in names):
            return True
    return False


def _run_at_once(body: list[Any]) -> Iterator[ast.AST]:
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            waiting.extend(ast.iter_child_nodes(node))
