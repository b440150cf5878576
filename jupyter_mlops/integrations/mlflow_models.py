"""Making an MLflow model folder from a spooled model, without touching any store.

It runs under the interpreter that fitted the model.  The folder holds the model in the safest
format that can hold it (``model_formats``), its signature and requirements; the stored file is
loaded again and must predict what the model predicts, before anybody calls it stored.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..errors import MlopsError
from ..model.events import ModelRecord
from ..model.ports import BuiltModel
from .mlflow_environment import as_installed, using
from .model_formats import Stored, write
from .model_loading import METADATA, load_stored
from .model_predictions import compare
from .skops_codec import SkopsCodec

__all__ = ["build_model"]


def build_model(
    record: ModelRecord,
    data: bytes,
    example: bytes | None,
    target: Path,
    *,
    sign: Callable[[bytes], str] | None = None,
) -> BuiltModel:
    """Write the MLflow model folder ``target`` for a spooled model.

    ``data`` and ``example`` are the contents of the record's blobs; the caller has verified the
    signature of a pickle.  ``sign`` makes the signature of the stored file, by which it is known
    again as this user's own.  Raises ``UntrustedError`` when the model would need foreign code to
    load and ``record.consent`` is ``None``, ``CorruptError`` for unreadable bytes, ``MlopsError``
    when its stored copy predicts something else or MLflow cannot write it; ``target`` is then gone.
    """
    try:
        with _kept_warnings() as said, _keras_backend(record):
            codec = SkopsCodec()
            model, rows = codec.load_record(record, data, example)
            with using(None, 10.0), as_installed():
                stored = write(model, rows, record, codec, target)
                _note(target, stored, record, sign)
                # These bytes have just been written.
                again = load_stored(target, lambda data, signature: True)
            verified = compare(model, again, record.flavor, rows)
    except BaseException as error:
        shutil.rmtree(target, ignore_errors=True)
        if isinstance(error, (MlopsError, OSError)) or not isinstance(error, Exception):
            raise
        raise MlopsError(f"it cannot be stored: {type(error).__name__}: {error}"[:400]) from error
    consent = record.consent if stored.format == "pickle" else None
    return BuiltModel(
        target, type(model).__name__, verified, tuple(said), format=stored.format, consent=consent
    )


def _note(
    target: Path, stored: Stored, record: ModelRecord, sign: Callable[[bytes], str] | None
) -> None:
    """Write into ``MLmodel`` how the model is stored, and who allowed a pickle."""
    import yaml

    path = target / "MLmodel"
    data = yaml.safe_load(path.read_bytes())
    note: dict[str, Any] = {"format": stored.format}
    if stored.format == "pickle":
        note["consent"] = record.consent or "not asked"
    content = (target / stored.file).read_bytes()
    note["signature"] = "none" if sign is None else sign(content)
    data["metadata"] = dict(data.get("metadata") or {}) | {METADATA: note}
    path.write_text(yaml.safe_dump(data, sort_keys=True), encoding="utf-8")


@contextlib.contextmanager
def _keras_backend(record: ModelRecord) -> Iterator[None]:
    """Let Keras use the backend that the session's had: its packages are in the requirements."""
    name = "KERAS_BACKEND"
    used = {pin.partition("==")[0] for pin in record.requirements}
    backend = next((b for b in ("tensorflow", "jax", "torch") if b in used), None)
    if record.flavor != "keras" or backend is None or name in os.environ:
        yield
        return
    os.environ[name] = backend
    try:
        yield
    finally:
        del os.environ[name]


@contextlib.contextmanager
def _kept_warnings() -> Iterator[list[str]]:
    """Collect what is warned for the run's report; deprecations are for the libraries' authors."""
    said: list[str] = []
    log = logging.getLogger("mlflow")
    level = log.level
    with warnings.catch_warnings(record=True) as caught, _quiet_output():
        warnings.simplefilter("always")
        log.setLevel(logging.ERROR)  # It warns of pickles: consent has been given or they are ours.
        try:
            yield said
        finally:
            log.setLevel(level)
            for item in caught:
                text = str(item.message).strip()
                if not issubclass(
                    item.category, (DeprecationWarning, PendingDeprecationWarning, FutureWarning)
                ):
                    said.append(text.partition("\n")[0][:300])
            said[:] = dict.fromkeys(said)


@contextlib.contextmanager
def _quiet_output() -> Iterator[None]:
    """Send what unpickled code prints to stderr: stdout belongs to the command."""
    with contextlib.redirect_stdout(sys.stderr):
        yield
