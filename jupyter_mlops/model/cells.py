"""What executes the cells of a notebook without Jupyter's sockets, as the engine sees it.

``warm`` forks such processes, ``integrations`` runs notebooks with them; neither knows the other:
``wiring.load_port("cell_forker")`` is a ``CellForker``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

__all__ = ["CellForker", "CellProcess", "NotForked"]


class NotForked(Exception):
    """Why there is no such process; the notebook then runs in a kernel as any other."""


class CellProcess(Protocol):
    """A forked process that executes cells, one after the other."""

    pid: int
    ahead: bool  # whether it was there before it was asked for

    def fileno(self) -> int:
        """A descriptor that is readable when a message has come."""

    def death(self) -> int:
        """A descriptor that is readable when the process has ended."""

    def exit_code(self) -> int | None:
        """Its exit code, minus the signal's number; ``None`` while it runs or if nobody knows."""

    def send(self, kind: str, message: Mapping[str, Any]) -> None:
        """Send a message of Jupyter's shell channel: ``message`` has its header and so on.

        Nothing happens when the process has ended.
        """

    def read(self) -> tuple[dict[str, Any], int] | None:
        """The next message and the bytes of its content; ``None`` if there is none now.

        It has ``msg_type``, ``header`` (``date``), ``parent_header`` (``msg_id``), ``content`` and
        ``buffers``, as Jupyter's.
        """

    def close(self) -> None:
        """Let go of it: it ends if it has not."""


class CellForker(Protocol):
    """Forks a process for cells."""

    def __call__(
        self,
        command: Sequence[str],
        provisioner: str | None,
        *,
        env: Mapping[str, str],
        cwd: str,
        output: int,
    ) -> CellProcess:
        """Fork the process that ``command`` would start as a kernel.

        ``provisioner`` is the one that its kernelspec names, ``env`` the whole environment,
        ``output`` the descriptor of its standard output and error.  Raises ``NotForked``.
        """
