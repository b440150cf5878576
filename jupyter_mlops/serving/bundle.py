"""The model that a deployment serves: an MLflow model folder, checked, and copied to be pinned.

The copy lies in the deployment's own folder under a name that holds its digest: what was validated
is what is loaded after every restart, with no tracking server in between, whatever becomes of the
artifact store.  Only the files that serving needs are copied.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CorruptError, UntrustedError, UsageError
from ..model.signature import Signature
from ..model.wiring import load_port
from .enforce import unsupported

__all__ = ["Bundle", "open_pinned", "pin_bundle", "read_bundle"]

# What MLflow's own scikit-learn wrapper lets `predict_fn` name; `score` needs labels.
_METHODS = {"predict", "predict_proba", "predict_log_proba", "predict_joint_log_proba"}
_MLMODEL_LIMIT = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bundle:
    """What an ``MLmodel`` file says that serving needs.

    ``model`` is the skops file, ``example`` the file of a request made from the input example
    (``None`` if the model was stored without one), ``trained_with`` a version of scikit-learn.
    """

    folder: Path
    model: Path
    method: str
    signature: Signature | None
    example: Path | None
    trained_with: str | None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that serving reads, ``MLmodel`` first."""
        return tuple(p for p in (self.folder / "MLmodel", self.model, self.example) if p)

    def example_request(self) -> bytes | None:
        """A request's JSON body made from the input example, if there is one."""
        return None if self.example is None else self.example.read_bytes()


def read_bundle(folder: Path) -> Bundle:
    """Read a local MLflow model folder.

    Raises ``UntrustedError`` for a format that runs code when it is loaded, ``UsageError`` for a
    model or signature that cannot be served, ``CorruptError`` or ``NotFoundError`` for a folder
    that is not a model.
    """
    path = folder / "MLmodel"
    if path.is_file() and path.stat().st_size > _MLMODEL_LIMIT:
        raise CorruptError(f"{path} is larger than {_MLMODEL_LIMIT} bytes")
    data = load_port("mlmodel")(folder)
    flavors = data.get("flavors")
    flavor = flavors.get("sklearn") if isinstance(flavors, dict) else None
    if not isinstance(flavor, dict):
        kinds = [n for n in flavors if n != "python_function"] if isinstance(flavors, dict) else []
        raise UsageError(
            f"{folder} holds no scikit-learn model"
            + (f" but one of {', '.join(map(str, kinds))}" if kinds else "")
            + ", and deployments serve no others",
            hint="Serve it with MLflow: mlflow models serve.",
        )
    if flavor.get("serialization_format") != "skops":
        raise UntrustedError(
            f"{folder} is stored as {flavor.get('serialization_format')}, which runs code on load: "
            "deployments serve models that are stored as skops only",
            hint="Use scikit-learn's own classes and functions in the model and track it again: it "
            "is then stored as skops. Or serve it with MLflow: mlflow models serve.",
        )
    method = (flavors.get("python_function") or {}).get("predict_fn", "predict")
    if method not in _METHODS:
        raise UsageError(f"{folder}: a deployment cannot call {method!r} of a model")
    signature = load_port("signature")(folder)
    if signature is not None:
        reason = unsupported(signature)
        if reason is not None:
            raise UsageError(
                f"{folder}: this signature cannot be served: {reason}",
                hint="Serve it with MLflow: mlflow models serve.",
            )
    return Bundle(
        folder=folder,
        model=_member(folder, flavor.get("pickled_model")),
        method=method,
        signature=signature,
        example=_example(folder, data.get("saved_input_example_info")),
        trained_with=flavor.get("sklearn_version"),
    )


def pin_bundle(bundle: Bundle, into: Path, version: int) -> str:
    """Copy the bundle's files to ``into/<version>-<digest>`` and return that name.

    A complete copy of the same bytes is kept as it is; a new one appears under its name only when
    it is whole and on disk.
    """
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = into / f".{version}-{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(mode=0o700)
    try:
        for path in bundle.files:
            target = temporary / path.relative_to(bundle.folder)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            made = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with path.open("rb") as source, os.fdopen(made, "wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
                copy.flush()
                os.fsync(copy.fileno())
        name = f"{version}-{_digest(temporary)}"
        final = into / name
        if not final.is_dir():
            temporary.rename(final)
        descriptor = os.open(into, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return name
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def open_pinned(folder: Path) -> Bundle:
    """Read a copy that ``pin_bundle`` made; ``CorruptError`` if its bytes have changed since."""
    wanted = folder.name.partition("-")[2]
    if not folder.is_dir() or _digest(folder) != wanted:
        raise CorruptError(
            f"{folder} is missing or damaged",
            hint="Deploy the model again: that copies it anew.",
        )
    return read_bundle(folder)


def _digest(folder: Path) -> str:
    """32 hex digits over the names and bytes of a folder's files (BLAKE3)."""
    from blake3 import blake3

    hasher = blake3()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content = blake3()
        content.update_mmap(path)
        hasher.update(path.relative_to(folder).as_posix().encode() + b"\0" + content.digest())
    return hasher.hexdigest()[:32]


def _example(folder: Path, info: Any) -> Path | None:
    if not isinstance(info, dict) or not info.get("serving_input_path"):
        return None
    path = _member(folder, info["serving_input_path"])
    try:
        json.loads(path.read_bytes())
    except ValueError as error:
        raise CorruptError(f"{path} is not valid JSON") from error
    return path


def _member(folder: Path, name: Any) -> Path:
    """The file ``name`` of the folder: never one elsewhere, whatever the ``MLmodel`` file says."""
    path = folder / str(name)
    inside = path.resolve().is_relative_to(folder.resolve())
    if not isinstance(name, str) or not inside or path.is_symlink() or not path.is_file():
        raise CorruptError(f"{folder / 'MLmodel'} names a file that is not in the folder: {name!r}")
    return path
