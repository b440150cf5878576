"""The zygotes that this process holds: started here, and gone when it is, however it ends."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import Config
from ..errors import MlopsError, ServiceError
from .address import Address, address_of, normal_modules, unsupported
from .zygote.wire import WireError, receive

if TYPE_CHECKING:
    from .choosing import Absent, Wait

__all__ = ["WORTH_HOLDING", "Zygote", "end_zygotes", "ensure_zygote", "held_zygotes", "holder"]

WORTH_HOLDING = 3  # notebooks; for fewer, importing ahead costs what it saves

_SCRIPT = Path(__file__).with_name("zygote") / "__main__.py"
_MOST = 4  # zygotes of one process at a time; the one longest unused makes room
_END_SECONDS = 5.0
_SLICE = 0.05  # seconds: others may ask for its state meanwhile


class Zygote:
    """One zygote of this process: ``state`` is ``starting``, ``ready`` or ``ended`` (``why``)."""

    def __init__(
        self,
        address: Address,
        interpreter: tuple[str, ...],
        modules: tuple[str, ...],
        environment: Mapping[str, str],
        config: Config,
    ) -> None:
        self.address = address
        self.interpreter = interpreter
        self.modules = modules
        self.owners: set[str] = set()
        self.used = time.monotonic()
        self.why: str | None = None
        self._ready = False
        self._listening = threading.Lock()
        self._leash, theirs = socket.socketpair()
        request = {
            "socket": str(address.path),
            "key": address.key,
            "modules": modules,
            "idle": config.warm_idle,
            "memory": config.warm_memory,
        }
        try:
            self._process: subprocess.Popen[bytes] = subprocess.Popen(
                [*interpreter, str(_SCRIPT), json.dumps(request)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=os.path.abspath(os.sep),
                env=dict(environment),
                start_new_session=True,  # a Ctrl-C in the terminal is not for it
            )
        except OSError as error:
            self._leash.close()
            raise ServiceError(f"{interpreter[0]} cannot be started: {error.strerror}") from error
        finally:
            theirs.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def state(self) -> str:
        """``starting``, ``ready`` or ``ended``."""
        self._listen(0.0)
        if self.why is not None:
            return "ended"
        return "ready" if self._ready else "starting"

    def wait(self, timeout: float) -> bool:
        """Wait until it is ready, at most ``timeout`` seconds; whether it is."""
        end = time.monotonic() + timeout
        while self.state == "starting" and time.monotonic() < end:
            self._listen(min(_SLICE, end - time.monotonic()))
        return self.state == "ready"

    def end(self) -> None:
        """End it; kernels that it forked live on."""
        self._leash.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.why = self.why or "it was ended"

    def _listen(self, timeout: float) -> None:
        with self._listening:  # several threads may wait: what it says is said once
            self._hear(timeout)

    def _hear(self, timeout: float) -> None:
        if self._ready and timeout > 0:
            return  # another thread has heard it
        if self.why is not None or self._leash.fileno() < 0:
            return
        if not select.select([self._leash], [], [], max(0.0, timeout))[0]:
            return
        try:
            message, _none = receive(self._leash)
        except (OSError, WireError):
            code = self._process.wait()
            self.why = f"it ended (exit code {code})"
        else:
            if "ready" in message:
                self._ready = True
            else:
                self.why = str(message.get("failed") or message.get("ended"))
                self._process.wait()
        if self.why is not None:
            self._leash.close()


_held: dict[str, Zygote] = {}
_lock = threading.Lock()


def ensure_zygote(
    interpreter: str | Sequence[str],
    modules: Sequence[str],
    owner: str,
    *,
    env: Mapping[str, str] | None = None,
    config: Config | None = None,
    afresh: bool = False,
) -> Zygote:
    """Return this process's zygote for ``interpreter`` with ``modules``; start it if need be.

    It does not wait (``Zygote.wait`` does).  ``interpreter``: the path of a Python, or the path and
    its flags, as the kernel's command has them.  ``owner`` names on whose behalf it is held, for
    ``end_zygotes``.  ``env``: the environment that kernels will ask for (default: this process's).
    With ``afresh`` one that runs is replaced.  Raises ``ServiceError`` where there can be none.
    """
    reason = unsupported()
    if reason is not None:
        raise ServiceError(reason)
    words = (interpreter,) if isinstance(interpreter, str) else tuple(interpreter)
    environment = dict(os.environ if env is None else env)
    chosen = normal_modules(modules)
    address = address_of(words, chosen, environment)
    with _lock:
        zygote = _held.get(address.key)
        if zygote is not None and (afresh or zygote.state == "ended"):
            del _held[address.key]
            zygote.end()
            zygote = None
        if zygote is None:
            _make_room()
            zygote = Zygote(address, words, chosen, environment, config or Config())
            _held[address.key] = zygote
        zygote.owners.add(owner)
        zygote.used = time.monotonic()
        return zygote


def holder(owner: str, config: Config) -> Absent:
    """What sees to it that ``owner`` holds a zygote where a kernel found none that could fork.

    One that differs from the kernel in what acts on imports is replaced.
    """

    def hold(
        interpreter: tuple[str, ...], modules: tuple[str, ...], env: Mapping[str, str], kind: str
    ) -> None:
        afresh = kind == "environment"
        ensure_zygote(interpreter, modules, owner, env=env, config=config, afresh=afresh)

    return hold


def waiter(owner: str, config: Config, seconds: float) -> Wait:
    """What holds a zygote as ``holder`` does, and waits until it is ready; whether it is."""

    def wait(
        interpreter: tuple[str, ...], modules: tuple[str, ...], env: Mapping[str, str]
    ) -> bool:
        return ensure_zygote(interpreter, modules, owner, env=env, config=config).wait(seconds)

    return wait


def end_zygotes(owner: str | None = None) -> None:
    """End the zygotes that only ``owner`` holds; without ``owner``, all of this process."""
    with _lock:
        for key, zygote in list(_held.items()):
            zygote.owners.discard(owner or "")
            if owner is None or not zygote.owners:
                del _held[key]
                zygote.end()


def held_zygotes() -> list[dict[str, Any]]:
    """What zygotes this process holds: ``pid``, ``state``, ``interpreter``, ``modules`` ..."""
    with _lock:
        return [
            {
                "pid": zygote.pid,
                "state": zygote.state,
                "interpreter": zygote.interpreter[0],
                "modules": list(zygote.modules),
                "owners": sorted(zygote.owners),
                "why": zygote.why,
            }
            for zygote in _held.values()
        ]


def _make_room() -> None:
    while len(_held) >= _MOST:
        key = min(_held, key=lambda one: _held[one].used)
        _held.pop(key).end()


def _forget() -> None:
    """In a forked child of this process: its zygotes are not ours."""
    _held.clear()


def _end_at_exit() -> None:
    with contextlib.suppress(OSError, MlopsError):
        end_zygotes()


atexit.register(_end_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
