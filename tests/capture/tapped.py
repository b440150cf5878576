"""What a tap has of a cell, or of what is printed while it is open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jupyter_mlops.capture.outputs import Captured, OutputTap

from .drivers import Shell

__all__ = ["LIMIT", "PNG", "Watched", "run", "watched"]

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 40
LIMIT = 64 * 1024


class Watched:
    """What a cell of ``shell`` showed, by name."""

    def __init__(self) -> None:
        self.files: dict[str, Captured] = {}
        self.left_out: dict[str, str] = {}

    def __getitem__(self, name: str) -> bytes | str:
        return self.files[name].data


@contextmanager
def watched(shell: Any, limit: int = LIMIT) -> Iterator[Watched]:
    """A tap that is open meanwhile; the answer is filled when it is closed."""
    answer, tap = Watched(), OutputTap(shell, limit)
    tap.start()
    try:
        yield answer
    finally:
        files, answer.left_out = tap.stop()
        answer.files = {file.name: file for file in files}


def run(shell: Shell, source: str, limit: int = LIMIT) -> Watched:
    """Run a cell with a tap that begins and ends with it, as the recorder has it."""
    taps: list[OutputTap] = []
    answer = Watched()

    def begin(info: Any) -> None:
        taps.append(OutputTap(shell.ip, limit))
        taps[-1].start()

    def end(result: Any) -> None:
        files, left_out = taps[-1].stop()
        answer.files = {file.name: file for file in files}
        answer.left_out = left_out

    shell.ip.events.register("pre_run_cell", begin)
    shell.ip.events.register("post_run_cell", end)
    try:
        shell.run(source)
    finally:
        shell.ip.events.unregister("pre_run_cell", begin)
        shell.ip.events.unregister("post_run_cell", end)
    return answer
