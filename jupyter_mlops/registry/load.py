"""Loading a model version without running anybody else's code."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ..config import Config, load_config
from ..errors import NotFoundError
from ..journal import verify
from ..model.registry import ModelVersion, parse_model_spec
from ..model.wiring import load_port
from ..project import Project, open_project
from ..tracking import open_backend
from .versions import find_version, reread

__all__ = ["load_code", "load_folder", "load_model", "model_folder"]


def load_model(spec: str) -> Any:
    """Load a model version of the project that the current folder belongs to.

    ``spec`` is ``NAME@VERSION`` or ``NAME@ALIAS``.  The model is loaded by skops against this
    package's own list of types, by XGBoost or LightGBM from their own files, and from a format that
    could run code only where this user's own session has made it, by consent.  Raises
    ``UsageError`` for a spec that is none, ``NotFoundError`` for no such version,
    ``UntrustedError`` for a model that would need more than that, ``MissingDependencyError`` where
    its library is not installed, and ``ServiceError`` when a tracking server has to be asked and
    does not answer.
    """
    parse_model_spec(spec)
    project = open_project(create=False)
    folder, _ = model_folder(project, load_config(project.root), spec)
    return load_folder(folder)


def load_code(project: Project, version: ModelVersion) -> str:
    """Code for a notebook that loads exactly this version."""
    spec = f"{version.name}@{version.version}"
    return f"import jupyter_mlops\n\nmodel = jupyter_mlops.load_model({_literal(spec)})"


def model_folder(project: Project, config: Config, spec: str) -> tuple[Path, ModelVersion]:
    """Return a local folder with the version's MLflow model, and the version.

    The version's own folder where it is on this machine, else a copy below ``.mlops/models/``.
    Raises as ``load_model`` does.
    """
    version = find_version(project, config, parse_model_spec(spec))
    if version.source is not None:
        folder = Path(version.source)
        if folder.is_absolute() and (folder / "MLmodel").is_file():
            return folder, version
    backend = open_backend(project, config)
    backend.check(config.delivery_timeout)
    found = backend.version(version.name, version.version)
    reread(project, found)
    target = project.state / "models" / _key(found)
    folder = backend.download_model(found.name, found.version, target)
    if not (folder / "MLmodel").is_file():
        raise NotFoundError(
            f"the files of {found.name}@{found.version} are gone from {folder}",
            hint="The project may have been moved, or its artifacts removed.",
        )
    return folder, found


def load_folder(folder: Path) -> Any:
    """Load the model in an MLflow model folder, running nobody else's code.

    Files of skops against our own list of types, XGBoost's and LightGBM's own files; a pickle, a
    Keras archive and an exported PyTorch graph only where this user's own session has signed them,
    a pickle also only where somebody consented to it.  Raises ``UntrustedError`` for anything else:
    there is no falling back to pickle.
    """
    return load_port("model_loader")(folder, verify)


def _key(version: ModelVersion) -> str:
    text = f"{version.name}\0{version.version}\0{version.source}\0{version.created}"
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _literal(text: str) -> str:
    """A Python string in double quotes, as formatters write it."""
    return json.dumps(text, ensure_ascii=False)
