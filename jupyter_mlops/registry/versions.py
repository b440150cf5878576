"""Registered models and their versions: listing, finding, making."""

from __future__ import annotations

from ..config import Config
from ..errors import ConflictError, NotFoundError, ServiceError
from ..model.registry import ModelSpec, ModelVersion, RegisteredModel, check_model_name
from ..project import Project
from ..state import StateDB
from ..state.deployments import deployment_rows
from ..state.held import hold
from ..state.readmodel import forget_version, put_version, read_model, read_models
from ..tracking import deliver, find_run, open_backend, refresh

__all__ = [
    "find_version",
    "get_version",
    "list_models",
    "register_run",
    "remove_version",
    "reread",
]


def list_models(project: Project) -> list[RegisteredModel]:
    """All registered models, the last changed first, as MLflow was last read."""
    if not project.exists or not project.database.is_file():
        return []
    with StateDB(project).read() as connection:
        return read_models(connection)


def get_version(project: Project, spec: ModelSpec) -> ModelVersion:
    """The version that ``NAME@V`` or ``NAME@ALIAS`` means, as MLflow was last read.

    Raises ``NotFoundError`` that lists what there is.
    """
    model = None
    if project.exists and project.database.is_file():
        with StateDB(project).read() as connection:
            model = read_model(connection, spec.name)
    if model is None:
        names = [known.name for known in list_models(project)]
        raise NotFoundError(
            f"there is no registered model {spec.name!r} in {project.root}",
            hint=f"The models are: {', '.join(names)}."
            if names
            else "Make one: %%track --register NAME, or jupyter mlops models register RUN NAME",
            model=spec.name,
        )
    for version in model.versions:
        if version.version == spec.version or (spec.alias and spec.alias in version.aliases):
            return version
    if spec.alias is not None:
        aliases = sorted({alias for version in model.versions for alias in version.aliases})
        raise NotFoundError(
            f"{spec.name} has no alias {spec.alias!r}",
            hint=(f"Its aliases are: {', '.join(aliases)}. " if aliases else "")
            + f"To set it: jupyter mlops models set {spec.name}@VERSION {spec.alias}",
            model=spec.name,
        )
    numbers = ", ".join(str(version.version) for version in reversed(model.versions))
    raise NotFoundError(
        f"{spec.name} has no version {spec.version}",
        hint=f"Its versions are: {numbers or 'none'}.",
        model=spec.name,
    )


def find_version(project: Project, config: Config, spec: ModelSpec) -> ModelVersion:
    """Like ``get_version``; what is not known here is asked of MLflow before giving up."""
    try:
        return get_version(project, spec)
    except NotFoundError:
        refresh(project, config)
        return get_version(project, spec)


def register_run(
    project: Project, config: Config, run: str, name: str, model: str | None = None
) -> ModelVersion:
    """Make a version of the registered model ``name`` from a run; again for the same run: the same.

    ``run`` is our id, a unique prefix or MLflow's id; ``model`` says which of the run's models, by
    the variable's name.  Raises ``NotFoundError`` for no such run or one without a stored model,
    ``UsageError`` for a name that cannot be one or several models, ``ServiceError`` when MLflow
    does not answer.
    """
    check_model_name(name)
    found = find_run(project, run)
    if found.mlflow_run_id is None:
        report = deliver(project, config, wait_lease=60.0, force=True)
        found = find_run(project, found.run_id)
        if found.mlflow_run_id is None:
            why = "; ".join(report.errors) or f"it is {found.status}"
            raise ServiceError(
                f"run {found.name} ({found.run_id}) could not be delivered: {why}",
                hint="It is kept; jupyter mlops sync tries again.",
            )
    backend = open_backend(project, config)
    backend.check(config.delivery_timeout)
    state = StateDB(project)
    # One at a time: MLflow would make a second version of the same model for a second asker.
    with hold(state, f"model:{name}", wait=60.0) as lease:
        if lease is None:
            raise ServiceError(f"{name} is being registered by another process")
        version, _ = backend.register(name, found.mlflow_run_id, model)
        with state.write() as connection:
            put_version(connection, version)
    return version


def remove_version(project: Project, config: Config, spec: ModelSpec) -> ModelVersion:
    """Delete a version from the registry for good; return what it was.

    The run keeps the model, so that a new version can be made of it.  Raises ``NotFoundError`` for
    no such version, ``ConflictError`` for one that has an alias or is deployed, and
    ``ServiceError`` when MLflow does not answer.
    """
    version = find_version(project, config, spec)
    name, number = version.name, version.version
    backend = open_backend(project, config)
    backend.check(config.delivery_timeout)
    state = StateDB(project)
    # The lease of its aliases: one that is just being set on it must not be lost.
    with hold(state, f"alias:{name}", wait=30.0) as lease:
        if lease is None:
            raise ServiceError(f"another process is moving an alias of {name}")
        aliases = [alias for alias, holder in backend.aliases(name).items() if holder == number]
        if aliases:
            raise ConflictError(
                f"{name}@{number} is the {', '.join(sorted(aliases))}",
                hint="Move the alias to another version first.",
            )
        if any(row.model == name and row.version == number for row in deployment_rows(state)):
            raise ConflictError(
                f"{name}@{number} is deployed", hint="jupyter mlops deployments ls shows where."
            )
        backend.delete_version(name, number)
        with state.write() as connection:
            forget_version(connection, name, number)
    return version


def reread(project: Project, version: ModelVersion) -> None:
    """Keep a version as MLflow has just shown it."""
    with StateDB(project).write() as connection:
        put_version(connection, version)
