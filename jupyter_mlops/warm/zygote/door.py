"""The socket that a zygote listens on: there only while it can be reached."""

from __future__ import annotations

import contextlib
import os
import socket

__all__ = ["Door"]


class Door:
    """A listening Unix socket at ``path``, in place of whatever was there."""

    def __init__(self, path: str) -> None:
        self._path = path
        # Bound under another name until it listens: whoever finds the path can connect.
        temporary = f"{path}~"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self.socket.bind(temporary)
        finally:
            os.umask(before)
        self.socket.listen(128)
        self._inode = os.stat(temporary).st_ino
        os.rename(temporary, path)

    def close(self) -> None:
        """Stop listening, and remove the path unless another zygote has taken it since."""
        if self.socket.fileno() >= 0:
            self.socket.close()
            with contextlib.suppress(OSError):
                if os.stat(self._path).st_ino == self._inode:
                    os.unlink(self._path)
