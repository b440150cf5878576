"""Turning spooled models into MLflow model folders, under the interpreter that fitted them.

A pickle is opened only after its signature has been verified, and only by the session's own Python:
in this process where that is the same environment, else in a child of that interpreter.  A child
is also used when earlier attempts have ended this process, so that no model can block delivery.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, Any

from ..errors import MissingDependencyError, MlopsError, NotFoundError, UntrustedError
from ..journal import BlobStore, sign, verify
from ..model.events import ModelRecord
from ..model.ports import BuiltModel
from ..model.wiring import load_port

__all__ = ["ModelBuilders", "check_signature", "same_environment"]

_TIME_LIMIT = 600.0  # seconds for one model


class ModelBuilders:
    """Builds models one after the other; children are kept until ``close``."""

    def __init__(self, blobs: BlobStore, folder: Path) -> None:
        self._blobs = blobs
        # Whoever was here before was killed, or has lost the delivery lease that we hold now.
        shutil.rmtree(folder, ignore_errors=True)
        # A folder of our own in it: one who was only stopped wakes up and removes his.
        self._folder = folder / secrets.token_hex(4)
        self._children: dict[str, _Child] = {}

    def build(self, record: ModelRecord, interpreter: str | None, *, isolate: bool) -> BuiltModel:
        """Return the model folder of ``record``; the caller removes it.

        Raises ``MlopsError`` with the reason why the model cannot be stored.
        """
        if record.blob is None:
            raise NotFoundError(record.reason or "its bytes were not kept")
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = Path(tempfile.mkdtemp(dir=self._folder)) / "model"
        # What needs no unpickling needs no particular interpreter either.
        home = record.format == "skops" or same_environment(interpreter)
        if home and not isolate:
            data = self._blobs.get(record.blob)
            check_signature(record, data)
            example = None
            if record.example_blob is not None:
                example = self._blobs.get(record.example_blob)
            build = load_port("model_builder")
            built: BuiltModel = build(record, data, example, target, sign=sign)
            return built
        path = sys.executable if home or interpreter is None else interpreter
        for last in (False, True):
            child = self._children.get(path)
            if child is None:
                child = self._children[path] = _Child(path, self._folder)
            try:
                return child.build(record, self._blobs.folder, target)
            except _ChildDied as death:
                child.close()
                del self._children[path]
                shutil.rmtree(target, ignore_errors=True)
                if last or not death.worth_another_try:
                    raise death.reason from None
        raise AssertionError("unreachable")

    def close(self) -> None:
        """End the children and remove what they left."""
        for child in self._children.values():
            child.close()
        self._children.clear()
        shutil.rmtree(self._folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._folder.parent.rmdir()


def check_signature(record: ModelRecord, data: bytes) -> None:
    """Raise ``UntrustedError`` unless a pickle was made by a session of this user."""
    if record.format != "skops" and not verify(data, record.signature):
        raise UntrustedError(
            "its bytes were not pickled by a session of yours and could run any code"
        )


def same_environment(interpreter: str | None) -> bool:
    """Whether an interpreter belongs to the environment that this process runs in.

    Its folder tells, not the file: the ``python`` of a virtual environment is a link to the one it
    was made with.
    """
    if interpreter is None:
        return True
    return os.path.realpath(Path(interpreter).parent.parent) == os.path.realpath(sys.prefix)


class _ChildDied(Exception):
    def __init__(self, reason: MlopsError, *, worth_another_try: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.worth_another_try = worth_another_try


class _Child:
    """``python -P -m jupyter_mlops.tracking.convert``: a request a line, an answer a line."""

    def __init__(self, interpreter: str, folder: Path) -> None:
        self._interpreter = interpreter
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        self._answers: queue.Queue[bytes] = queue.Queue()
        self._process: subprocess.Popen[bytes] | None = None
        # -P, and a folder of ours: nothing is imported from where a notebook happens to lie.
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                [interpreter, "-P", "-m", "jupyter_mlops.tracking.convert"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                cwd=folder,
            )
            threading.Thread(target=self._listen, daemon=True).start()

    def build(self, record: ModelRecord, blobs: Path, target: Path) -> BuiltModel:
        request = {"record": record.to_dict(), "blobs": str(blobs), "target": str(target)}
        process = self._process
        answer = b""
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.write(json.dumps(request).encode() + b"\n")
                process.stdin.flush()
                answer = self._wait(process)
        if not answer:
            raise self._death()
        data: dict[str, Any] = json.loads(answer)
        if "error" in data:
            raise MlopsError.from_dict(data["error"])
        return BuiltModel(
            target,
            data["class_name"],
            data["verified"],
            tuple(data["warnings"]),
            # An older package under that interpreter says neither, and makes skops files only.
            data.get("format", "skops"),
            data.get("consent"),
        )

    def close(self) -> None:
        process = self._process
        if process is not None:
            if process.stdin is not None:
                with contextlib.suppress(OSError):
                    process.stdin.close()
            try:
                process.wait(timeout=5.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self._errors.close()

    def _listen(self) -> None:
        process = self._process
        if process is not None and process.stdout is not None:
            with contextlib.suppress(OSError, ValueError):
                for line in process.stdout:
                    self._answers.put(line)
        self._answers.put(b"")

    def _wait(self, process: subprocess.Popen[bytes]) -> bytes:
        try:
            return self._answers.get(timeout=_TIME_LIMIT)
        except queue.Empty:
            process.kill()
            raise _ChildDied(
                MlopsError(f"storing it took longer than {_TIME_LIMIT:.0f} s"),
                worth_another_try=False,
            ) from None

    def _death(self) -> _ChildDied:
        """Why the child did not answer."""
        install = f"{self._interpreter} -m pip install jupyter-mlops"
        if self._process is None:
            return _ChildDied(
                MissingDependencyError(
                    f"its Python, {self._interpreter}, cannot be started",
                    hint="Fit and track it again with a Python that is there.",
                ),
                worth_another_try=False,
            )
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5.0)
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        last = lines[-1] if lines else ""
        if "No module named" in last and "jupyter_mlops" in last:
            return _ChildDied(
                MissingDependencyError(
                    f"jupyter-mlops is not installed for its Python, {self._interpreter}",
                    hint=f"{install}, then track it again.",
                ),
                worth_another_try=False,
            )
        code = self._process.returncode
        how = f"was killed by signal {-code}" if code is not None and code < 0 else f"ended: {last}"
        return _ChildDied(
            MlopsError(f"the process that stored it ({self._interpreter}) {how}"[:400]),
            worth_another_try=code is not None and code < 0,
        )
