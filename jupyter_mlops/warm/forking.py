"""Forks processes that execute cells without Jupyter's sockets (the port ``cell_forker``)."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

from ..config import Config, load_config
from ..errors import MlopsError
from ..model.cells import NotForked
from ..project import open_project
from .address import Address, address_of, unsupported
from .choosing import current_choice, note_start
from .client import Refused, WarmKernel, fork_kernel
from .commands import LAUNCHER, Cold, kernel_parts
from .zygote import packets

__all__ = ["ForkedCells", "fork_cells"]

_NAME = "mlops-zygote"
_CHOSEN = "JUPYTER_DEFAULT_PROVISIONER_NAME"
_HISTORY = "--HistoryManager.hist_file=:memory:"


class ForkedCells:
    """A forked process that executes cells; see ``model.cells.CellProcess``."""

    def __init__(self, kernel: WarmKernel, line: socket.socket) -> None:
        self.pid = kernel.pid
        self.ahead = kernel.ahead
        self._kernel = kernel
        self._line = line
        self._reader = packets.Reader(line)

    def fileno(self) -> int:
        """See ``CellProcess``."""
        return self._line.fileno()

    def death(self) -> int:
        """See ``CellProcess``."""
        return self._kernel.fileno()

    def exit_code(self) -> int | None:
        """See ``CellProcess``."""
        return self._kernel.poll()

    def send(self, kind: str, message: Mapping[str, Any]) -> None:
        """See ``CellProcess``."""
        data = json.dumps({**message, "msg_type": kind}).encode("utf-8", "surrogatepass")
        with contextlib.suppress(OSError):
            packets.send(self._line, [data])

    def read(self) -> tuple[dict[str, Any], int] | None:
        """See ``CellProcess``."""
        parts = self._reader.read()
        if parts is None:
            return None
        head, content, *buffers = parts
        said = json.loads(head)
        date = said["date"]
        moment = datetime.fromisoformat(date) if date else datetime.now(UTC)
        message = {
            "msg_type": said["type"],
            "header": {"msg_type": said["type"], "date": moment},
            "parent_header": {"msg_id": said["parent"]},
            # As jupyter_client reads it: what is no Unicode in it stays no obstacle.
            "content": json.loads(content.decode("utf-8", "replace")),
            "buffers": buffers,
        }
        return message, len(content)

    def close(self) -> None:
        """See ``CellProcess``."""
        self._line.close()
        self._kernel.let_go()


def fork_cells(
    command: Sequence[str],
    provisioner: str | None,
    *,
    env: Mapping[str, str],
    cwd: str,
    output: int,
) -> ForkedCells:
    """Fork the process that ``command`` would start as a kernel; see ``model.cells.CellForker``.

    It is noted with the choice that holds, as every start of a kernel.
    """
    try:
        modules = _modules(provisioner, cwd)
        words, _script, _arguments = kernel_parts([os.path.expanduser(word) for word in command])
        environment = {**env, "JPY_PARENT_PID": str(os.getpid())}
        if any(not os.path.isabs(one) for one in env.get("PYTHONPATH", "/").split(os.pathsep)):
            raise Cold("PYTHONPATH names a folder that is relative to the working folder")
        address = address_of(words, modules, environment)
        fork = partial(_fork, address, words, environment, cwd, output)
        try:
            kernel, mine = fork()
        except Refused as refusal:
            choice = current_choice()
            wait = None if choice is None or refusal.kind != "absent" else choice.wait
            if wait is None or not wait(tuple(words), modules, environment):
                raise
            kernel, mine = fork()
    except (Cold, Refused, MlopsError, OSError, ValueError) as error:
        raise NotForked(str(error)) from None
    report = {"start": "fork", "why": "forked", "modules": list(modules), "ahead": kernel.ahead}
    of = {"run": env.get("JUPYTER_MLOPS_PARENT_RUN"), "step": env.get("JUPYTER_MLOPS_STEP")}
    note_start(report | of)
    return ForkedCells(kernel, mine)


def _fork(
    address: Address, words: Sequence[str], environment: Mapping[str, str], cwd: str, output: int
) -> tuple[WarmKernel, socket.socket]:
    mine, theirs = packets.pair()
    try:
        with theirs, open(os.devnull, "rb") as nothing:
            arguments = ["-f", _connection_file(), _HISTORY]
            kernel = fork_kernel(
                address,
                [*words, LAUNCHER, *arguments],
                arguments,
                script=LAUNCHER,
                env=environment,
                cwd=os.path.abspath(cwd),
                streams=(nothing.fileno(), output, output),
                # It is ended with all that it has started by who runs it, and by itself when
                # nobody is there any more: killed at once, it would leave its children behind.
                independent=True,
                cells=theirs,
            )
    except BaseException:
        mine.close()
        raise
    return kernel, mine


def _modules(provisioner: str | None, cwd: str) -> tuple[str, ...]:
    """What the zygote is to have imported; ``Cold`` unless it is wanted and can be there."""
    reason = unsupported()
    if reason is not None:
        raise Cold(reason)
    config = _config(cwd)
    if not config.fork:
        raise Cold("the fork engine is switched off (setting 'fork')")
    if not config.warm:
        raise Cold("warm kernels are switched off (setting 'warm')")
    default = os.environ.get(_CHOSEN)
    other = next((name for name in (provisioner, default) if name not in (None, "", _NAME)), None)
    if other is not None:
        raise Cold(f"the provisioner {other} was chosen")
    choice = current_choice()
    if choice is None and _NAME not in (provisioner, default):
        raise Cold("nothing to fork from was asked for")
    more = [name.strip() for name in config.warm_modules.split(",") if name.strip()]
    return tuple(sorted({*more, *(choice.modules if choice is not None else ())}))


def _config(cwd: str) -> Config:
    try:
        root = open_project(cwd, create=False).root
    except MlopsError:
        root = None
    return load_config(root)


def _connection_file() -> str:
    # Not there; only the arguments are those of any kernel.
    from jupyter_core.paths import jupyter_runtime_dir

    return os.path.join(jupyter_runtime_dir(), f"kernel-{uuid4()}.json")
