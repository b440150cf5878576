"""Messages between a zygote and its clients: framed JSON over a Unix socket, with descriptors.

A frame is its length (four bytes, big-endian) and a JSON object in UTF-8; file descriptors ride on
its first bytes (``SCM_RIGHTS``).
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import socket
import struct
from collections.abc import Sequence
from typing import Any

__all__ = ["PROTOCOL", "WireError", "receive", "send"]

PROTOCOL = 2
_HEAD = struct.Struct(">I")
_LONGEST = 16 * 1024 * 1024
_MOST_DESCRIPTORS = 8


class WireError(Exception):
    """The other side closed, or sent what is no message."""


def send(sock: socket.socket, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Send one message with ``descriptors``; ``OSError`` when the other side is gone."""
    data = json.dumps(message).encode("utf-8", "surrogatepass")
    data = _HEAD.pack(len(data)) + data
    if not descriptors:
        sock.sendall(data)
        return
    rights = array.array("i", descriptors)
    sent = sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    if sent < len(data):  # to send nothing fails, too, where the answer has closed the socket
        sock.sendall(data[sent:])


def receive(sock: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The next message and the descriptors with it, which are the caller's to close.

    Raises ``WireError`` when the other side closed before a whole message, or sent none;
    ``OSError`` (a timeout, too) when the socket failed.
    """
    descriptors: list[int] = []
    try:
        head = _read(sock, _HEAD.size, descriptors)
        (size,) = _HEAD.unpack(head)
        if size > _LONGEST:
            raise WireError(f"a message of {size} bytes")
        try:
            message = json.loads(_read(sock, size, descriptors).decode("utf-8", "surrogatepass"))
        except ValueError as error:
            raise WireError(f"not JSON: {error}") from error
        if not isinstance(message, dict):
            raise WireError("not a JSON object")
    except BaseException:
        for descriptor in descriptors:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        raise
    return message, descriptors


def _read(sock: socket.socket, size: int, descriptors: list[int]) -> bytes:
    data = bytearray()
    room = socket.CMSG_SPACE(_MOST_DESCRIPTORS * array.array("i").itemsize)
    while len(data) < size:
        part, ancillary, _flags, _address = sock.recvmsg(size - len(data), room)
        for level, kind, raw in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                found = array.array("i")
                found.frombytes(raw[: len(raw) - len(raw) % found.itemsize])
                descriptors.extend(found)
        if not part:
            raise WireError("the other side closed")
        data += part
    return bytes(data)
