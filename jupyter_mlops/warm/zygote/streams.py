"""Standard output and error of a process that executes cells, as ipykernel has them.

``Stream`` is ipykernel's own stream: text is kept together, goes out when somebody flushes or a
fifth of a second later, and so does what native code and subprocesses write to the descriptors.
Only the way out is another: whoever flushes sends it, and nobody waits for another thread.
"""

from __future__ import annotations

import codecs
import fcntl
import os
import select
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ipykernel.iostream import BackgroundSocket, IOPubThread, OutStream

__all__ = ["Publisher", "Stream"]

_INT = struct.Struct("i")
_NONE = _INT.pack(0)
_PIECE = 65536  # bytes read at once of what is written to a descriptor
_DRAIN = 64  # such pieces at most before what waits for them goes on
_AT_ONCE = 1_000_000  # characters; more are sent by who prints them, so that they cannot pile up


class Publisher(IOPubThread):
    """Stands for ipykernel's thread of that name: sends at once, and flushes streams later."""

    def __init__(self, session: Any, uninterrupted: Callable[[], Any]) -> None:
        # Nothing of the base class's sockets and loop is wanted: only that it is one.
        self.session = session
        self.uninterrupted = uninterrupted
        self.socket: Any = object()
        self.io_loop: Any = None
        self.order = threading.RLock()  # of what goes out
        self.background_socket = BackgroundSocket(self)
        self._streams: list[Stream] = []
        self._due: float | None = None
        self._wake = -1
        self.thread = threading.Thread(target=self._watch, name="IOPub", daemon=True)

    def start(self) -> None:
        """Begin to watch the streams."""
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        os.register_at_fork(after_in_child=self._renew)
        self.thread.start()

    def stop(self) -> None:
        """Nothing: the thread ends with the process."""

    def close(self) -> None:
        """Nothing is open."""

    def schedule(self, f: Callable[[], Any]) -> None:
        """Do it now, in this thread."""
        f()

    def send_multipart(self, *args: Any, **kwargs: Any) -> None:
        """Nobody sends by this way."""

    def add(self, stream: Stream) -> None:
        """Flush this one, too."""
        self._streams.append(stream)

    def flush_soon(self, seconds: float) -> None:
        """Have the streams flushed after a while."""
        if self._due is None and self._wake >= 0:
            self._due = time.monotonic() + seconds
            os.eventfd_write(self._wake, 1)

    def drain(self) -> None:
        """Take over what native code has written so far."""
        for stream in self._streams:
            stream.drain()

    def _renew(self) -> None:
        """In a forked child, whose one thread is not the one that held the locks."""
        self.order = threading.RLock()
        for stream in self._streams:
            stream.renew()

    def _watch(self) -> None:
        poller = select.poll()
        poller.register(self._wake, select.POLLIN)
        by_descriptor = {}
        for stream in self._streams:
            if stream.source is not None:
                poller.register(stream.source, select.POLLIN)
                by_descriptor[stream.source] = stream
        while True:
            due = self._due
            patience = None if due is None else max(0.0, due - time.monotonic()) * 1000
            for descriptor, _event in poller.poll(patience):
                if descriptor == self._wake:
                    os.eventfd_read(self._wake)
                elif not by_descriptor[descriptor].drain():
                    poller.unregister(descriptor)
            if self._due is not None and time.monotonic() >= self._due:
                self._due = None
                for stream in self._streams:
                    stream.flush()


class Stream(OutStream):
    """One of the two."""

    def __init__(self, session: Any, publisher: Publisher, name: str, **options: Any) -> None:
        self.source: int | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._waiting = 0
        self._publisher = publisher
        super().__init__(session, publisher, name, **options)
        publisher.add(self)

    def _setup_stream_redirects(self, name: str) -> None:
        # As ipykernel does, but without a thread for each: ``Publisher`` watches both.
        number = self._original_stdstream_fd = {"stdout": 1, "stderr": 2}[name]
        self._original_stdstream_copy = os.dup(number)
        self.source, write = os.pipe()
        self._fid = self.source
        os.set_blocking(self.source, False)
        os.dup2(write, number)
        os.close(write)

    def drain(self) -> bool:
        """Take over what was written to the descriptor; whether more may come."""
        if self.source is None:
            return False
        with self._in_order():
            for _ in range(_DRAIN):
                try:
                    data = os.read(self.source, _PIECE)
                except OSError:
                    return True  # there is nothing now
                if not data:
                    return False
                text = self._decoder.decode(data)
                super().write(text)
                self._waiting += len(text)
                os.write(self._original_stdstream_copy, data)
        return True

    def flush(self) -> None:
        """Send what there is."""
        if not self._is_master_process():
            self._flush()
            return
        with self._publisher.order:
            if self._waiting or self._written():
                with self._publisher.uninterrupted():
                    self._waiting = 0
                    self.drain()
                    self._flush()

    def write(self, string: str) -> Any:
        """Keep text for the next flush."""
        count = super().write(string)
        self._waiting += len(string)
        if self._waiting > _AT_ONCE:
            self.flush()
        return count

    def _written(self) -> bool:
        """Whether something was written to the descriptor."""
        if self.source is None:
            return False
        (count,) = _INT.unpack(fcntl.ioctl(self.source, termios.FIONREAD, _NONE))
        return bool(count)

    def renew(self) -> None:
        """In a forked child: its locks are its own."""
        self._buffer_lock = threading.RLock()

    def close(self) -> None:
        """Leave it open: the process's end closes it."""

    def _schedule_flush(self) -> None:
        if not self._flush_pending:
            self._flush_pending = True
            self._publisher.flush_soon(self.flush_interval)

    @contextmanager
    def _in_order(self) -> Iterator[None]:
        with self._publisher.uninterrupted(), self._publisher.order:
            yield
