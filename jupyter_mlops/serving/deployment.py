"""Deployments as people and programs see them: without the token, and with what is true now."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..errors import NotFoundError, UsageError
from ..model.registry import ModelSpec
from ..project import Project
from ..state import StateDB
from ..state.deployments import DeploymentRow, deployment_row, deployment_rows
from .process import folder_of

__all__ = [
    "Deployment",
    "deployment_token",
    "example_request",
    "find_row",
    "get_deployment",
    "list_deployments",
    "view",
]


@dataclass(frozen=True, slots=True)
class Deployment:
    """A model version that is, was or should be served on this machine.

    Attributes:
        id: names it in commands, ``<model>-<four characters>``.
        model: the registered model.
        selector: what was deployed of it: an alias or a version number.
        version: the version that is served.  An alias is resolved when it is deployed, not later.
        behind: the version that the alias means by now, if that is another one.
        url: ``http://127.0.0.1:<port>``; the port stays the same over restarts.
        status: ``starting``, ``running``, ``waiting`` (its server ended and is started again soon),
            ``down`` (its server ended and nobody has noticed), ``stopped``, ``failed``, or
            ``unknown`` (it runs on another machine that shares this folder).
        error: what went wrong last, and ``hint`` what to do about it.
        warnings: what is worth knowing about it.
        created: when it was first deployed, seconds since the epoch.
        started: when its server started, seconds since the epoch.
        authorization: a file (0600) that holds the ``Authorization`` header: ``curl -H @FILE``.
    """

    id: str
    model: str
    selector: str
    version: int
    behind: int | None
    url: str | None
    status: str
    error: str | None
    hint: str | None
    warnings: tuple[str, ...]
    created: float
    started: float | None
    pid: int | None
    restarts: int
    authorization: str

    def to_dict(self) -> dict[str, Any]:
        """The fields, for JSON."""
        return asdict(self)


def list_deployments(project: Project) -> list[Deployment]:
    """All deployments of the project, oldest first."""
    if not project.database.exists():
        return []
    return [view(project, row) for row in deployment_rows(StateDB(project))]


def get_deployment(project: Project, text: str) -> Deployment:
    """One deployment by its id, a unique beginning of it, or ``NAME@SELECTOR``.

    Raises ``NotFoundError``, or ``UsageError`` when several begin so.
    """
    return view(project, find_row(project, text))


def deployment_token(project: Project, text: str) -> str:
    """The bearer token of a deployment; raises as ``get_deployment``."""
    return find_row(project, text).token


def example_request(project: Project, id: str) -> dict[str, Any] | None:
    """A request of one row, made from the model's input example; ``None`` if it has none."""
    import json

    from .bundle import read_bundle

    row = find_row(project, id)
    body = read_bundle(folder_of(project, row.id) / "models" / row.digest).example_request()
    data = None if body is None else json.loads(body)
    if not isinstance(data, dict):
        return None
    split, inputs = data.get("dataframe_split"), data.get("inputs")
    if isinstance(split, dict) and isinstance(split.get("data"), list):
        return {"dataframe_split": {"columns": split.get("columns"), "data": split["data"][:1]}}
    return {"inputs": inputs[:1]} if isinstance(inputs, list) else None


def find_row(project: Project, text: str) -> DeploymentRow:
    """The row that ``text`` means; raises as ``get_deployment``."""
    rows = deployment_rows(StateDB(project)) if project.database.exists() else []
    for row in rows:
        if text in (row.id, f"{row.model}@{row.selector}"):
            return row
    found = [row for row in rows if text and row.id.startswith(text)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"{text!r} is the beginning of {len(found)} deployments",
            hint=f"Write one of {', '.join(row.id for row in found)}.",
        )
    raise NotFoundError(
        f"there is no deployment {text!r}",
        hint="List them with `jupyter mlops deployments ls`.",
    )


def view(project: Project, row: DeploymentRow, extra: tuple[str, ...] = ()) -> Deployment:
    """The deployment that a row stands for, with what is true of its process now."""
    status: str = row.status
    error, hint = (str(row.error), row.error.hint) if row.error is not None else (None, None)
    if status in ("starting", "running"):
        alive = row.alive
        if alive is None:
            status = "unknown"
            hint = f"It runs on {row.machine}."
        elif not alive and row.pid is not None:
            status = "down"
            hint = "The agent starts it again: `jupyter mlops agent start`. Or deploy it again."
    return Deployment(
        id=row.id,
        model=row.model,
        selector=row.selector,
        version=row.version,
        behind=_behind(project, row),
        url=f"http://{row.host}:{row.port}" if row.port else None,
        status=status,
        error=error,
        hint=hint,
        warnings=row.warnings + extra,
        created=row.created,
        started=row.started,
        pid=row.pid if status in ("starting", "running") else None,
        restarts=row.restarts,
        authorization=str(folder_of(project, row.id) / "authorization"),
    )


def current(db: StateDB, id: str) -> DeploymentRow:
    """The row ``id`` as it is now; raises ``NotFoundError`` when it has been removed."""
    row = deployment_row(db, id)
    if row is None:
        raise NotFoundError(f"deployment {id!r} has been removed")
    return row


def _behind(project: Project, row: DeploymentRow) -> int | None:
    if row.selector.isdecimal():
        return None
    from ..registry import get_version

    try:
        found = get_version(project, ModelSpec(row.model, alias=row.selector)).version
    except NotFoundError:
        return None  # The alias, or the whole model, is gone.
    return found if found != row.version else None
