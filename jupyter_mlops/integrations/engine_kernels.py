"""What executes the cells of a headless run: one interface, two kinds, and the choice."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["CellKernel", "KernelStartError", "Report"]

Report = dict[str, Any]


class KernelStartError(Exception):
    """The kernel does not start, or does not answer."""


class CellKernel(Protocol):
    """A kernel and the connection to it.  Used by one thread.

    Messages are Jupyter's: ``msg_type``, ``header``, ``parent_header``, ``content``, ``buffers``.
    """

    pid: int | None  # ``None`` before it starts, after its end, and where it runs elsewhere
    info: dict[str, Any]  # ``language_info`` of its ``kernel_info_reply``
    report: Report  # ``start``: ``fork``, ``warm`` or ``cold``, and ``why``

    def start(self, timeout: float, stopped: Any) -> None:
        """Start it and wait until it answers; ``KernelStartError`` when it does not.

        ``timeout`` in seconds.  ``stopped()`` says whether to give up.
        """

    def execute(self, source: str, cell_id: str, *, stop_on_error: bool) -> str:
        """Have it execute a cell; the message's id."""

    def wait(self, seconds: float | None) -> set[str]:
        """What has come within ``seconds``: of ``message death wake``; may be empty."""

    def read(self) -> tuple[dict[str, Any], int] | None:
        """The next message and the bytes of its content; ``None`` if there is none."""

    def send_comm(self, content: dict[str, Any], parent: dict[str, Any]) -> None:
        """Send a ``comm_msg``."""

    def interrupt(self) -> None:
        """Interrupt what runs."""

    def exit_code(self) -> int | None:
        """The exit code of a kernel that has ended (minus the signal's number), if it is known."""

    def noise(self) -> str:
        """The last of what the kernel's process itself has written."""

    def end(self, *, gently: bool, whole: bool) -> None:
        """End the kernel, then whatever it has started.

        ``gently`` lets it run its own clean-up.  After a finished run only its process group goes:
        what took a session of its own was meant to outlive it.  ``whole`` ends all its descendants.
        """
