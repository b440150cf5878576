"""The process of one deployment: ``python -P -m jupyter_mlops.serving.child ROOT ID ...``.

It takes the port, loads the pinned model, replays its input example, and only then serves and
says so in ``state.db``.  It imports no mlflow and asks no tracking server.  It ends on SIGTERM,
after the requests in hand; and by itself when another process has taken its place in ``state.db``,
when the deployment is no longer wanted, or when the project is gone.

A swap to another version (``--replaces``) starts the new process beside the old one; when the new
one is ready it is handed the old one's listening socket over ``control.sock``, so that no
connection is refused in between.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import socket
import sys
import time
import warnings
from pathlib import Path

from tornado.ioloop import PeriodicCallback

from .._version import version as package_version
from ..config import load_config
from ..errors import ConflictError, MlopsError, NotFoundError, RunError, UsageError
from ..journal.log_streams import redact_streams
from ..journal.process import this_process
from ..journal.redaction import default_redactor
from ..project import Project, open_project
from ..state import StateDB
from ..state.deployments import DeploymentRow, deployment_row, update_deployment
from .access_log import AccessLog
from .bundle import open_pinned
from .predictor import Predictor
from .process import FAILURE, folder_of
from .scoring import Limits, Scoring, ScoringServer

__all__ = ["main"]

_CONTROL = "control.sock"
_LOOK_EVERY = 5.0
_DRAIN_SECONDS = 10.0
_log = logging.getLogger("jupyter_mlops.serving")


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to end; the exit code is 0, or the error's if it never served."""
    options = _options(arguments)
    os.umask(0o077)
    redact_streams()  # They are the deployment's log.
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for name in ("tornado.general", "tornado.access", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Columns are matched by name before the model sees them, and then it may get an array.
    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    project = open_project(options.root, create=False)
    folder = folder_of(project, options.id)
    os.chdir(folder)  # Short relative paths for the control socket, and nobody else's folder.
    try:
        return asyncio.run(_Child(project, options).run())
    except Exception as error:
        _log.exception("the deployment did not start")
        known = error if isinstance(error, MlopsError) else None
        failure = known or RunError(f"{type(error).__name__}: {error}")
        described = default_redactor().redact_value("error", failure.to_dict())
        report = {"epoch": options.epoch, "error": described}
        temporary = folder / f".{FAILURE}.{os.getpid()}"
        temporary.write_text(json.dumps(report, default=str), encoding="utf-8")
        os.replace(temporary, folder / FAILURE)
        return failure.exit_code


class _Child:
    def __init__(self, project: Project, options: argparse.Namespace) -> None:
        self._project = project
        self._db = StateDB(project)
        self._id: str = options.id
        self._epoch: int = options.epoch
        self._replaces: bool = options.replaces
        self._name: str = options.bundle
        self._version = int(self._name.partition("-")[0])
        self._stopping = asyncio.Event()

    async def run(self) -> int:
        row = self._row()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        config = load_config(self._project.root)
        port = None if self._replaces else _bind(row.host, row.port)
        predictor = Predictor.load(open_pinned(Path("models") / self._name), config.serve_row_limit)
        # The model and the libraries stay for good: the collector need not look at them again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        log = AccessLog(Path("access.log"))
        scoring = Scoring(
            predictor,
            token=row.token,
            version=self._version,
            protocol=_protocol(),
            limits=Limits(
                config.serve_body_limit, config.serve_read_timeout, config.serve_concurrency
            ),
            log=log,
            threads=_threads(),
        )
        server = ScoringServer(scoring)
        await asyncio.sleep(0)  # Lets a signal in that came while the model was being loaded.
        if self._stopping.is_set():
            return 0
        listener = _handed_over() if port is None else _listen(port)
        if not self._report(listener.getsockname()[1], predictor.notes):
            raise ConflictError("another process has taken this deployment over")
        listener.setblocking(False)
        server.add_socket(listener)
        _log.info(
            "serving %s version %d on %s:%d with %ss",
            row.model,
            self._version,
            *listener.getsockname()[:2],
            predictor.takes,
        )
        control = _Control(listener)
        look = PeriodicCallback(self._look, _LOOK_EVERY * 1000)
        look.start()
        await self._stopping.wait()
        look.stop()
        control.close()
        await server.drain(_DRAIN_SECONDS)
        scoring.pool.shutdown(wait=False, cancel_futures=True)
        log.close()
        _log.info("ended")
        return 0

    def _row(self) -> DeploymentRow:
        row = deployment_row(self._db, self._id)
        if row is None:
            raise NotFoundError(f"there is no deployment {self._id!r}")
        if row.epoch != self._known_epoch():
            raise ConflictError("another process has taken this deployment over")
        return row

    def _known_epoch(self) -> int:
        """The epoch in the row before this process serves: a replacement raises it itself."""
        return self._epoch - 1 if self._replaces else self._epoch

    def _report(self, port: int, notes: tuple[str, ...]) -> bool:
        return update_deployment(
            self._db,
            self._id,
            if_epoch=self._known_epoch(),
            process=this_process(),
            epoch=self._epoch,
            status="running",
            version=self._version,
            digest=self._name,
            port=port,
            error=None,
            warnings=notes,
            started=time.time(),
        )

    def _look(self) -> None:
        """End when nobody wants this process any more, whoever forgot to say so."""
        try:
            if not self._project.exists:
                raise NotFoundError("the project is gone")
            row = deployment_row(self._db, self._id)
        except NotFoundError:
            row = None
        except MlopsError as error:
            _log.warning("state.db cannot be read: %s", error)
            return
        if row is None or not row.wanted or row.epoch != self._epoch:
            _log.info("no longer wanted")
            self._stopping.set()


class _Control:
    """Hands the listening socket to the process that will replace this one."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        # The folder is 0700, so that only this user's processes reach the socket.
        self._path = Path(f".{_CONTROL}.{os.getpid()}")
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(self._path))
        self._socket.listen(4)
        self._socket.setblocking(False)
        os.replace(self._path, _CONTROL)
        asyncio.get_running_loop().add_reader(self._socket, self._hand_over)

    def _hand_over(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._socket.accept()
            with connection:
                socket.send_fds(connection, [b"1"], [self._listener.fileno()])

    def close(self) -> None:
        """Stop handing over; the path may be another process's by now."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()


def _handed_over() -> socket.socket:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(10.0)
            connection.connect(_CONTROL)
            _, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
            return socket.socket(fileno=descriptors[0])
    except (OSError, IndexError) as error:
        raise ConflictError(
            f"the running server did not hand its port over: {error}",
            hint="Stop the deployment, and deploy it again.",
        ) from error


def _bind(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # A port whose last connections are still winding down is free for a restart.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise _taken((host, port), error) from error
    return listener


def _listen(listener: socket.socket) -> socket.socket:
    try:
        listener.listen(128)
    except OSError as error:  # Two that were started at once may both have bound the port.
        raise _taken(listener.getsockname(), error) from error
    return listener


def _taken(address: tuple[str, int], error: OSError) -> ConflictError:
    host, port = address
    return ConflictError(
        f"port {port} on {host} cannot be used: {error.strerror or error}",
        hint="Free it, or deploy with --port and another number.",
        port=port,
    )


def _protocol() -> str:
    """What ``/version`` answers: the MLflow whose protocol this is, read without importing it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mlflow")
    except PackageNotFoundError:
        return f"jupyter-mlops/{package_version()}"


def _threads() -> int:
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(4, available or 1))


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="jupyter_mlops.serving.child")
    parser.add_argument("root", type=Path)
    parser.add_argument("id")
    parser.add_argument("--epoch", type=int, required=True)
    parser.add_argument("--bundle", required=True, help="name of the pinned model")
    parser.add_argument("--replaces", action="store_true", help="take the port over when ready")
    options = parser.parse_args(arguments)
    if "/" in options.id or "/" in options.bundle:
        raise UsageError("an id and a bundle are names, not paths")
    return options


if __name__ == "__main__":
    sys.exit(main())
