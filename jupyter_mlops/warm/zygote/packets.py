"""Messages of a run between a process that executes cells and whoever asked for it.

They go over one pair of Unix sockets that keep packets whole (``SOCK_SEQPACKET``).  A packet is
sent or not, whatever interrupts the sender, and several threads and forked processes may send at
the same time: each packet says whose it is.

A message is a head (JSON), a content (JSON) and binary buffers.
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["Reader", "pair", "send"]

_HEAD = struct.Struct("<IIB")  # the sender's process, the message's number, whether it is the last
_COUNT = struct.Struct("<I")
_SIZE = struct.Struct("<Q")
_ROOM = 128 * 1024  # bytes of a packet; the system's own limit is that of the buffer, 208 KiB
_MOST_OPEN = 64  # messages whose last packet has not come
_numbers = itertools.count()
_Bytes = Any  # bytes, or what has a buffer


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a connection."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(sock: socket.socket, *messages: Sequence[_Bytes]) -> None:
    """Send messages at once; waits until the other side takes them.  ``OSError`` if it is gone."""
    frames: list[_Bytes] = []
    for parts in messages:
        sizes = [memoryview(part).nbytes for part in parts]
        frames += [_COUNT.pack(len(parts)), *map(_SIZE.pack, sizes), *parts]
    data: _Bytes = b"".join(frames)
    process, number = os.getpid(), next(_numbers) & 0xFFFFFFFF
    if len(data) <= _ROOM:
        sock.send(_HEAD.pack(process, number, 1) + data)
        return
    data = memoryview(data)
    for start in range(0, len(data), _ROOM):
        last = start + _ROOM >= len(data)
        sock.send(_HEAD.pack(process, number, last) + bytes(data[start : start + _ROOM]))


class Reader:
    """Puts the messages of one connection together."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._parts: dict[tuple[int, int], list[bytes]] = {}
        self._whole: deque[list[bytes]] = deque()
        self.ended = False

    def read(self) -> list[bytes] | None:
        """The parts of the next whole message; ``None`` if there is none yet, or no more."""
        while not self._whole and not self.ended:
            try:
                packet = self._socket.recv(_ROOM + _HEAD.size, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return None
            except OSError:
                packet = b""
            if not packet:
                self.ended = True
                break
            data = self._take(packet)
            if data is not None:
                self._whole.extend(_split(data))
        return self._whole.popleft() if self._whole else None

    def _take(self, packet: bytes) -> bytes | None:
        process, number, last = _HEAD.unpack_from(packet)
        body = packet[_HEAD.size :]
        if last:
            before = self._parts.pop((process, number), None)
            return body if before is None else b"".join([*before, body])
        self._parts.setdefault((process, number), []).append(body)
        if len(self._parts) > _MOST_OPEN:  # the oldest was broken off by its sender
            del self._parts[next(iter(self._parts))]
        return None


def _split(data: bytes) -> Iterator[list[bytes]]:
    at = 0
    while at < len(data):
        (count,) = _COUNT.unpack_from(data, at)
        sizes = at + _COUNT.size
        at = sizes + count * _SIZE.size
        parts = []
        for index in range(count):
            (size,) = _SIZE.unpack_from(data, sizes + index * _SIZE.size)
            parts.append(data[at : at + size])
            at += size
        yield parts
