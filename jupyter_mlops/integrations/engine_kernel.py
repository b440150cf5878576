"""One kernel of a headless run: started, waited for by events alone, ended with all it started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Coroutine, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import zmq
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import AsyncKernelManager
from traitlets import DottedObjectName, Instance, Type, default

from .engine_kernels import KernelStartError, Report
from .engine_noise import Noise
from .engine_processes import Guard, death_descriptor, end_tree, kill_group, tree

__all__ = ["Kernel"]

_LAUNCHER = Path(__file__).with_name("engine_kernel_main.py")
_ATTEMPTS = 3  # a port may be taken between its choice and its use
_ASK_AGAIN = 0.2  # seconds; until output arrives from a kernel that sends no welcome
_QUEUE = 20_000  # messages that wait here; the kernel keeps the others
_SHUTDOWN_WAIT = 5.0  # seconds, as in jupyter_client: half until SIGTERM, half until SIGKILL
_ORDINARY = "started in the ordinary way"
_CHANNELS = ("iopub", "shell", "stdin")
_LOOK = 0.2  # seconds between looks at a kernel whose end is no event


class _Manager(AsyncKernelManager):
    """jupyter_client's manager; IPython kernels are started by our launcher.

    Its client is the blocking one: who waits here waits for several things at once (``wait``).
    """

    context = Instance(zmq.Context)
    client_class = DottedObjectName("jupyter_client.blocking.BlockingKernelClient")
    client_factory = Type(klass=BlockingKernelClient)
    launched_by_us = False

    @default("context")
    def _our_context(self) -> Any:
        self._created_context = True
        return zmq.Context()

    def client(self, **kwargs: Any) -> Any:
        """A client that queues far more than the 1,000 messages after which ZeroMQ drops."""
        client = super().client(**kwargs)
        client.context.setsockopt(zmq.RCVHWM, _QUEUE if self.launched_by_us else 0)
        # Until the kernel listens, connections are refused: try again sooner than every 100 ms.
        client.context.setsockopt(zmq.RECONNECT_IVL, 10)
        return client

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        """The command of the kernelspec, with ipykernel's launcher replaced."""
        command = super().format_kernel_cmd(extra_arguments)
        for at, pair in enumerate(pairwise(command)):
            if pair in (("-m", "ipykernel_launcher"), ("-m", "ipykernel")):
                command[at : at + 2] = [str(_LAUNCHER)]
                self.launched_by_us = True
                break
        return command


class Kernel:
    """A kernel and the connection to it.  Used by one thread."""

    def __init__(
        self,
        name: str,
        *,
        env: Mapping[str, str],
        cwd: Path,
        waking: socket.socket,
        unforked: str | None = None,
    ) -> None:
        """``env`` is the whole environment; ``unforked`` says why it is not the fork engine."""
        self._name = name
        self._env = env
        self._cwd = cwd
        self._waking = waking
        self._unforked = unforked
        self._manager: Any = None
        # Only for jupyter_client's coroutines; ZeroMQ's descriptors want this kind on every system.
        self._loop = asyncio.SelectorEventLoop()
        self._guard: Guard | None = None
        self._death: int | None = None
        self._poller = zmq.Poller()
        self._sockets: dict[Any, str] = {}
        self._noise = Noise()
        self.client: Any = None
        self.info: dict[str, Any] = {}
        self.pid: int | None = None
        self.report: Report = {}

    def start(self, timeout: float, stopped: Any) -> None:
        """Start it and wait until it answers; ``KernelStartError`` when it does not.

        ``timeout`` in seconds for each of three attempts: another process may have taken one of
        the ports.  ``stopped()`` says whether to give up.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            self._launch(dict(self._env))
            try:
                self._handshake(time.monotonic() + timeout, stopped)
                return
            except KernelStartError:
                if attempt == _ATTEMPTS or self.alive() or stopped():
                    raise
                if "ddress already in use" not in self.noise():
                    raise
                self._release()

    def execute(self, source: str, cell_id: str, *, stop_on_error: bool) -> str:
        """See ``CellKernel``."""
        # As JupyterLab does: who listens in the kernel knows which cell runs.
        self.client.session.metadata["cellId"] = cell_id
        return str(self.client.execute(source, stop_on_error=stop_on_error))

    def send_comm(self, content: dict[str, Any], parent: dict[str, Any]) -> None:
        """See ``CellKernel``."""
        self.client.shell_channel.send(self.client.session.msg("comm_msg", content, parent=parent))

    def wait(self, seconds: float | None) -> set[str]:
        """See ``CellKernel``."""
        ready = self._wait(seconds)
        found = ready & {"death", "wake"}
        return found | {"message"} if ready - found else found

    def read(self) -> tuple[dict[str, Any], int] | None:
        """See ``CellKernel``."""
        for channel in _CHANNELS:
            if (got := self._read(channel)) is not None:
                return got
        return None

    def _wait(self, seconds: float | None) -> set[str]:
        """What has come within ``seconds``: of the channels, ``death`` and ``wake``."""
        if self._death is None:  # no event tells of its end: look now and then
            seconds = _LOOK if seconds is None else min(seconds, _LOOK)
        try:
            ready = self._poller.poll(None if seconds is None else max(0, int(seconds * 1000)))
        except zmq.ZMQError:
            return {"death"}
        found = {self._sockets[key] for key, _ in ready}
        if "wake" in found:
            with contextlib.suppress(OSError):
                self._waking.recv(1024)
        if self._death is None and not self.alive():
            found.add("death")
        return found

    def _read(self, channel: str) -> tuple[dict[str, Any], int] | None:
        source = getattr(self.client, f"{channel}_channel").socket
        while True:
            try:
                frames = source.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return None
            session = self.client.session
            _, message = session.feed_identities(frames)
            try:
                return session.deserialize(message), len(message[4])
            except (ValueError, IndexError):
                continue  # not signed by our kernel

    def interrupt(self) -> None:
        """Interrupt what runs."""
        with contextlib.suppress(Exception):  # it may just have ended
            self._do(self._manager.interrupt_kernel())

    def alive(self) -> bool:
        """Whether the kernel's process lives."""
        return self._manager is not None and bool(self._do(self._manager.is_alive()))

    def exit_code(self) -> int | None:
        """The exit code of a kernel that has ended (minus the signal's number), if it is known."""
        provisioner = getattr(self._manager, "provisioner", None)
        if provisioner is None or not provisioner.has_process:
            return None
        code = self._do(provisioner.poll())
        return code if isinstance(code, int) else None

    def noise(self) -> str:
        """The last of what the kernel's process itself has written."""
        return self._noise.tail()

    def end(self, *, gently: bool, whole: bool) -> None:
        """End the kernel, then whatever it has started.

        ``gently`` lets it run its own clean-up.  After a finished run only its process group goes:
        what took a session of its own was meant to outlive it.  ``whole`` ends all its descendants.
        """
        descendants = []
        for pid in tree(self.pid) if whole and self.pid is not None else ():
            with contextlib.suppress(psutil.Error):
                descendants.append(psutil.Process(pid))
        try:
            if self._manager is not None and gently and self.alive():
                self._ask_to_end()
        finally:
            if self.pid is not None:
                end_tree(self.pid, descendants)
            self._release()
            self._noise.close()
            self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(work)

    def _launch(self, env: dict[str, str]) -> None:
        self._manager = _Manager(kernel_name=self._name)
        # Where the kernel can, its traffic is no other local user's to read.
        if "transport_encryption" in self._manager.trait_names() and zmq.has("curve"):
            self._manager.transport_encryption = "auto"
        extra = []
        if any("ipykernel" in word for word in self._manager.kernel_spec.argv):
            extra = ["--HistoryManager.hist_file=:memory:"]
        self._do(
            self._manager.start_kernel(
                env=env,
                cwd=str(self._cwd),
                stdout=self._noise.fileno(),
                stderr=subprocess.STDOUT,
                extra_arguments=extra,
            )
        )
        self.pid = getattr(self._manager.provisioner, "pid", None)
        said = getattr(self._manager.provisioner, "report", None) or {}
        self.report = {"start": said.get("start", "cold"), "why": said.get("why", _ORDINARY)}
        if self._unforked is not None:
            self.report["fork"] = self._unforked
        if self.pid is not None:
            self._guard = Guard(self.pid)
            self._death = death_descriptor(self.pid)
        self.client = self._manager.client()
        self.client.start_channels(hb=False, control=False)
        self.client.allow_stdin = False
        self._poller = zmq.Poller()
        self._sockets = {self._waking.fileno(): "wake"}
        for channel in _CHANNELS:
            self._sockets[getattr(self.client, f"{channel}_channel").socket] = channel
        if self._death is not None:
            self._sockets[self._death] = "death"
        for key in self._sockets:
            self._poller.register(key, zmq.POLLIN)

    def _handshake(self, deadline: float, stopped: Any) -> None:
        """Wait for the kernel's answer, and until its output reaches us.

        A kernel of protocol 5.4 sends a welcome when it sees us listen.  Others are asked again
        until something of theirs arrives: what is sent before is lost.
        """
        heard, answered, again = False, False, 0.0
        self.client.kernel_info()
        while not (heard and answered):
            now = time.monotonic()
            if stopped():
                raise KernelStartError("stopped")
            if now >= deadline:
                raise KernelStartError("it did not answer")
            if answered and now >= again:
                self.client.kernel_info()
                again = now + _ASK_AGAIN
            ready = self._wait(min(deadline, again if answered else deadline) - now)
            if "iopub" in ready:
                while self._read("iopub") is not None:
                    heard = True
            if "shell" in ready:
                while (got := self._read("shell")) is not None:
                    if got[0]["msg_type"] == "kernel_info_reply":
                        self.info = got[0]["content"]
                        answered, again = True, again or time.monotonic() + _ASK_AGAIN / 4
            if "death" in ready and not (heard and answered):
                raise KernelStartError("Kernel died before it answered")

    def _ask_to_end(self) -> None:
        with contextlib.suppress(Exception):  # it may be ending already
            self._do(self._manager.request_shutdown())
        for number in (signal.SIGTERM, None):
            deadline = time.monotonic() + _SHUTDOWN_WAIT / 2
            while (left := deadline - time.monotonic()) > 0:
                if "death" in self._wait_for_death(left):
                    return
            if number is not None and self.pid is not None and hasattr(os, "killpg"):
                with contextlib.suppress(OSError):
                    os.killpg(self.pid, number)

    def _wait_for_death(self, seconds: float) -> set[str]:
        if self._death is None:
            time.sleep(min(seconds, 0.02))
            return set() if self.alive() else {"death"}
        # Its last output is read, so that it can send it: it would wait for us otherwise.
        ready = self._wait(seconds)
        for channel in ready & {*_CHANNELS}:
            while self._read(channel) is not None:
                pass
        return ready

    def _release(self) -> None:
        if self._manager is not None:
            if self.pid is not None:
                kill_group(self.pid)
            with contextlib.suppress(Exception):  # it died while being ended
                if self._manager.has_kernel:
                    self._do(self._manager.finish_shutdown(2.0, 0.005))
            if self.client is not None:
                self.client.stop_channels()
            with contextlib.suppress(Exception):
                self._do(self._manager.cleanup_resources())
        if self._guard is not None:
            self._guard.dismiss()
        if self._death is not None:
            os.close(self._death)
        self._manager = self.client = self._guard = self._death = self.pid = None
