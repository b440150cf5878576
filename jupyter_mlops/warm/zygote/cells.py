"""A kernel without sockets: executes cells for the process at the other end of one connection.

It is ipykernel's own application, kernel and shell, so that cells find what they find in any
kernel.  What is left out is what a run of cells from top to bottom does not need: ports, heartbeat,
control thread, connection file, signatures.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import importlib.util
import io
import json
import os
import signal
import socket
import sys
import threading
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from ipykernel import ipkernel, kernelapp
from ipykernel.utils import _async_in_context
from jupyter_client.session import DONE, Session
from traitlets.config import Config
from traitlets.utils.importstring import import_item

from . import packets
from .streams import Publisher, Stream

__all__ = ["Begun", "run_cells"]

# What ``signal`` wraps: the wrapping costs more than the call, and each message needs it.
_signal: Any = importlib.import_module("_signal")
_SIGINT = int(signal.SIGINT)


class _Line:
    """The connection; an interrupt waits until what is being sent is sent."""

    def __init__(self, sock: socket.socket | None) -> None:
        self.socket: Any = sock  # ``None`` as long as nobody is there to send to
        self.lost = False  # whether something was to be sent then
        self.process = os.getpid()
        self._main = threading.get_ident()
        self._depth = 0
        self._interrupted = False
        self._held: list[list[Any]] | None = None

    @contextmanager
    def uninterrupted(self) -> Iterator[None]:
        """Nothing in here is interrupted; what comes meanwhile takes its way afterwards."""
        if self._depth or threading.get_ident() != self._main:
            yield
            return
        # The cell's own handler is away only for this moment: a handler of ours that raised would
        # be seen in tracebacks.
        before = _signal.getsignal(_SIGINT)
        if before is None:  # not set from Python, so that it could not be set again
            yield
            return
        self._depth += 1
        _signal.signal(_SIGINT, self._note)
        try:
            yield
        finally:
            self._depth -= 1
            _signal.signal(_SIGINT, before)
        if self._interrupted:
            self._interrupted = False
            signal.raise_signal(signal.SIGINT)

    def _note(self, _number: int, _frame: Any) -> None:
        self._interrupted = True

    def send(self, kind: str, parent: str, date: str, content: bytes, buffers: Any = ()) -> None:
        """Send a message; nothing happens when nobody listens any more."""
        head = json.dumps({"type": kind, "parent": parent, "date": date}).encode()
        if self._held is not None and threading.get_ident() == self._main:
            self._held.append([head, content, *buffers])
            return
        if self.socket is None:
            self.lost = True
            return
        with suppress(OSError), self.uninterrupted():
            packets.send(self.socket, [head, content, *buffers])

    def hold(self) -> None:
        """Keep what is sent from here on: more follows at once, and each packet wakes a process."""
        self._held = self._held or []

    def release(self) -> None:
        """Send what was kept."""
        held, self._held = self._held, None
        if held:
            with suppress(OSError), self.uninterrupted():
                packets.send(self.socket, *held)


class _Session(Session):
    """Sends by the connection, unsigned: nobody else can write to it."""

    line: _Line

    def send(
        self,
        stream: Any,
        msg_or_type: Any,
        content: Any = None,
        parent: Any = None,
        ident: Any = None,
        buffers: Any = None,
        track: bool = False,
        header: Any = None,
        metadata: Any = None,
    ) -> Any:
        """Send as the base class would, whatever ``stream`` is."""
        message = msg_or_type
        if not isinstance(message, dict):
            message = self.msg(message, content, parent, header, metadata)
        if self.check_pid and os.getpid() != self.pid:
            return None  # a forked process that is no kernel
        parent_id = message["parent_header"].get("msg_id", "")
        date = message["header"]["date"]
        date = date if isinstance(date, str) else date.isoformat()
        kind = message["header"]["msg_type"]
        found = buffers or message.get("buffers") or ()
        self.line.send(kind, parent_id, date, self.pack(message["content"]), found)
        message["tracker"] = DONE
        return message


class IPythonKernel(ipkernel.IPythonKernel):
    """ipykernel's, without channels."""

    _supports_kernel_subshells = False
    line: Any = None

    async def do_execute(self, *args: Any, **kwargs: Any) -> Any:
        """Execute a cell; what tells of its beginning goes out first."""
        self.line.release()
        try:
            return await super().do_execute(*args, **kwargs)
        finally:
            if os.getpid() != self.line.process:
                # The cell has forked, and this is the copy: it is no kernel, and says nothing.
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(0)
            self.line.hold()  # its last text, the reply and the status

    def _input_request(self, prompt: Any, ident: Any, parent: Any, password: bool = False) -> str:
        # Only where the code itself has switched input on; who runs us answers by an interrupt.
        sys.stdout.flush()
        sys.stderr.flush()
        content = {"prompt": str(prompt), "password": password}
        session: Any = self.session
        session.send(None, "input_request", content, parent)
        try:
            while True:
                signal.pause()
        except KeyboardInterrupt:
            raise KeyboardInterrupt("Interrupted by user") from None

    def _process_children(self) -> list[Any]:
        # Most cells leave none behind: looking at all processes of the machine is for the others.
        with suppress(OSError):
            for thread in os.listdir("/proc/self/task"):
                with open(f"/proc/self/task/{thread}/children", "rb") as file:
                    if file.read():
                        break
            else:
                return []
        found: list[Any] = super()._process_children()
        return found


class IPKernelApp(kernelapp.IPKernelApp):
    """ipykernel's application: its configuration, profile and start-up files hold here, too."""

    kernel_class: Any = IPythonKernel
    line: Any = None

    def _session_default(self) -> Any:
        session = _Session(parent=self, key=b"unsigned")
        session.line = self.line
        return session

    def parse_command_line(self, argv: Any = None) -> None:
        """Take ``-f`` alone, as it always is; libraries look whether the section is there."""
        self.update_config(Config({"IPKernelApp": {"connection_file": sys.argv[2]}}))

    def load_config_file(self, *args: Any, **kwargs: Any) -> None:
        """Read the configuration files; no history file is opened whatever they say."""
        super().load_config_file(*args, **kwargs)
        self.update_config(Config({"HistoryManager": {"hist_file": ":memory:"}}))

    def init_connection_file(self) -> None:
        """There is none."""

    def init_poller(self) -> None:
        """Whoever started us ends us."""

    def init_sockets(self) -> None:
        """Only what streams and displays are sent by."""
        self.iopub_thread = Publisher(self.session, self.line.uninterrupted)
        self.iopub_socket = self.iopub_thread.background_socket
        self.configure_tornado_logger()

    def init_heartbeat(self) -> None:
        """Its end is an event."""

    def write_connection_file(self, **kwargs: Any) -> None:
        """There is none."""

    def log_connection_info(self) -> None:
        """There is none."""

    def init_io(self) -> None:
        """Redirect the standard streams and the display hook."""
        watch = {} if self.capture_fd_output else {"watchfd": False}
        sys.stdout.flush()
        sys.stdout = Stream(self.session, self.iopub_thread, "stdout", **watch)
        sys.stderr.flush()
        sys.stderr = Stream(self.session, self.iopub_thread, "stderr", **watch)
        if hasattr(sys.stderr, "_original_stdstream_copy"):
            for handler in self.log.handlers:
                stream: Any = getattr(handler, "stream", None)
                if hasattr(stream, "buffer") and stream.fileno() == 2:
                    copy = io.FileIO(sys.stderr._original_stdstream_copy, "w", closefd=False)
                    handler.stream = io.TextIOWrapper(copy)
        self.displayhook = import_item(str(self.displayhook_class))(self.session, self.iopub_socket)
        sys.displayhook = self.displayhook
        self.iopub_thread.start()
        self.patch_io()

    def init_kernel(self) -> None:
        """Create the kernel."""
        self.kernel = kernel = self.kernel_class.instance(
            parent=self,
            session=self.session,
            # Async cells ask it for the thread that cells run in.
            shell_channel_thread=types.SimpleNamespace(parent_thread=threading.main_thread()),
            iopub_thread=self.iopub_thread,
            iopub_socket=self.iopub_socket,
            log=self.log,
            profile_dir=self.profile_dir,
            user_ns=self.user_ns,
        )
        kernel.line = self.line
        kernel._execute_sleep = 0.0  # it lets ZeroMQ catch up
        self.displayhook.get_execution_count = lambda: kernel.execution_count

    def close(self) -> None:
        """Give the standard streams back."""
        self.reset_io()


class _Loop:
    """Takes requests from the connection, one after the other, inside the event loop."""

    def __init__(self, app: Any, line: _Line) -> None:
        self._app = app
        self._kernel = app.kernel
        self._line = line
        self._lock = asyncio.Lock()
        self._serve = _async_in_context(self._request)
        self._tasks: set[Any] = set()
        self._kernel.start()

    def run(self) -> None:
        """Serve until told to end, or until nobody is there any more."""
        kernel = self._kernel
        self._reader = packets.Reader(self._line.socket)
        content = {"language_info": kernel.language_info}
        self._line.send("ready", "", "", json.dumps(content).encode())
        loop = kernel.io_loop.asyncio_loop
        loop.add_reader(self._line.socket.fileno(), self._arrived)
        with suppress(KeyboardInterrupt):
            kernel.io_loop.start()

    def _arrived(self) -> None:
        while (parts := self._reader.read()) is not None:
            message = json.loads(parts[0])
            message["buffers"] = parts[1:]
            task = asyncio.ensure_future(self._serve(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self._reader.ended:
            self._kernel.io_loop.stop()

    async def _request(self, message: dict[str, Any]) -> None:
        kernel, kind = self._kernel, message["header"]["msg_type"]
        if kind == "shutdown_request":
            kernel.do_shutdown(False)
            await kernel._at_shutdown()
            kernel.io_loop.stop()
        elif kind == "execute_request":
            async with self._lock:
                await self._handle(message, concurrent=False)
        elif self._lock.locked():
            # A running async cell may wait for it.
            before = kernel.get_parent("shell")
            try:
                await self._handle(message, concurrent=True)
            finally:
                kernel.set_parent([], before, channel="shell")
        else:
            async with self._lock:
                await self._handle(message, concurrent=False)

    async def _handle(self, message: dict[str, Any], *, concurrent: bool) -> None:
        """What ipykernel does with a message of the shell channel."""
        kernel = self._kernel
        kernel.set_parent([], message, channel="shell")
        if not concurrent:
            self._line.hold()
            kernel._publish_status("busy", "shell")
            kernel.pre_handler_hook()
        try:
            answer = kernel.shell_handlers[message["header"]["msg_type"]](None, [], message)
            if answer is not None:
                await answer
        except Exception:
            kernel.log.error("Exception in message handler:", exc_info=True)
        except KeyboardInterrupt:
            kernel.log.error("KeyboardInterrupt caught in kernel.")
        finally:
            if not concurrent:
                kernel.post_handler_hook()
        self._app.iopub_thread.drain()
        sys.stdout.flush()
        sys.stderr.flush()
        if not concurrent:
            kernel._publish_status("idle", "shell")
            self._line.release()


class Begun:
    """A kernel that is set up and executes nothing yet."""

    def __init__(self, sock: socket.socket | None) -> None:
        self.line = line = _Line(sock)
        if sock is None:
            line.hold()
        with suppress(Exception):
            _leave_out_the_debugger()
        with suppress(Exception):
            _watch()
        asyncio.set_event_loop(asyncio.new_event_loop())
        self.app = app = IPKernelApp.instance()
        app.line = line
        app.initialize([])
        self._loop = _Loop(app, line)

    def connect(self, sock: socket.socket, streams: Sequence[int]) -> None:
        """What was held and what follows goes to ``sock``; ``streams``: output and error."""
        app: Any = self.app
        app.connection_file = sys.argv[2]
        for one in (app, app.kernel, app.shell):
            one.config["IPKernelApp"]["connection_file"] = sys.argv[2]
        for stream, descriptor in zip((sys.stdout, sys.stderr), streams, strict=True):
            copy = getattr(stream, "_original_stdstream_copy", None)
            number = {"stdout": 1, "stderr": 2}[stream.name.strip("<>")]
            os.dup2(descriptor, number if copy is None else copy, inheritable=copy is None)
        self.line.socket = sock
        self.line.release()

    def run(self) -> NoReturn:
        """Be the kernel until it ends."""
        self._loop.run()
        self.line.release()
        _end(self.app)
        self.line.send("ended", "", "", b"{}")
        os._exit(0)


def run_cells(descriptor: int) -> NoReturn:
    """Be the kernel until it ends; ``descriptor`` is of the connection."""
    Begun(socket.socket(fileno=descriptor)).run()


def _leave_out_the_debugger() -> None:
    # As in every headless run: nobody can attach.
    stand_in: Any = types.ModuleType("ipykernel.debugger")
    stand_in._is_debugpy_available = False
    stand_in.Debugger = type("Debugger", (), {})
    sys.modules["ipykernel.debugger"] = stand_in


def _watch() -> None:
    """As the launcher that stands in ``sys.argv``: a step cache asks for evidence."""
    place = os.path.join(os.path.dirname(sys.argv[0]), "engine_evidence.py")
    if not os.environ.get("JUPYTER_MLOPS_STEP_EVIDENCE") or not os.path.isfile(place):
        return
    name = "_mlops_engine_evidence"
    spec = importlib.util.spec_from_file_location(name, place)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        module.install_from_environment()


def _end(app: Any) -> None:
    """End as an interpreter does, without taking apart what the zygote had imported.

    Threads are waited for, exit handlers run, what the cells made is destroyed, open files are
    written.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with suppress(Exception):
        app.shell.user_ns.clear()
        app.shell.user_ns_hidden.clear()
        vars(app.shell.user_module).clear()
    gc.collect()
    for thing in gc.get_objects():
        if isinstance(thing, io.IOBase) and not isinstance(thing, Stream):
            with suppress(Exception):
                if not thing.closed:
                    thing.flush()
