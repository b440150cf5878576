"""What executing a session of cells gave, and the two ways to execute one: ``Runner``.

``harness_kernels`` starts a kernel for each session, as a person would; ``harness_forks`` forks one
warm shell, which takes a tenth of the time.  Both load the extension and track a first, empty cell
when they capture, so that every cell after it is journaled, and both describe the target's value
with the source of ``harness_value``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

from ..journal import list_sessions, read_session
from ..model.events import CellEvent

__all__ = [
    "CAPTURE",
    "Described",
    "Executed",
    "Runner",
    "TimedOut",
    "captured_events",
    "kernel_environment",
    "value_source",
]

# What a person types to have every cell of a session in the journal.
CAPTURE = ("%load_ext jupyter_mlops", "%%track\npass")


class TimedOut(Exception):
    """A cell took longer than it may; ``cell`` is its position."""

    def __init__(self, cell: int, seconds: float) -> None:
        super().__init__(f"cell {cell} took longer than {seconds:g} s")
        self.cell = cell


@dataclass(frozen=True, slots=True)
class Described:
    """The target's value: equal values have equal digests.

    ``complete`` is false where only a ``repr`` without addresses could tell; ``error`` is set where
    there is no value.
    """

    kind: str = ""
    digest: str = ""
    complete: bool = True
    shown: str = ""
    error: str | None = None

    @classmethod
    def parse(cls, text: str) -> Described:
        """Build it from what ``harness_value.described`` returned."""
        return cls(**json.loads(text))

    def same(self, other: Described) -> bool:
        """Whether both are values, and equal ones."""
        if self.error is not None or other.error is not None:
            return False
        return (self.kind, self.digest) == (other.kind, other.digest)


@dataclass(frozen=True, slots=True)
class Executed:
    """A session that was executed: its value, the cells that raised, and what was captured.

    ``failed`` maps positions of cells to what they raised; ``events`` has one event a cell where
    the session was captured.
    """

    value: Described
    failed: dict[int, str] = field(default_factory=dict)
    events: tuple[CellEvent, ...] = ()


class Runner(Protocol):
    """Executes sessions of cells, each in a fresh process and an empty folder."""

    def run(
        self, cells: Sequence[str], target: str, *, capture: bool = False, stop: bool = True
    ) -> Executed:
        """Execute the cells in order and describe the expression ``target``.

        With ``capture`` under the extension; with ``stop`` the first cell that raises ends it.
        Raises ``TimedOut``.
        """

    def close(self) -> None:
        """End what was started."""


def captured_events(folder: Path, cells: Sequence[str]) -> tuple[CellEvent, ...]:
    """Return the journal's event of each cell, in order.

    A cell without one (IPython does not run an empty cell) gets an event that only has its source.
    """
    recorded: list[CellEvent] = []
    for path in list_sessions(folder / ".mlops" / "journal"):
        recorded.extend(read_session(path).cells)
    start = next((i + 1 for i, e in enumerate(recorded) if e.source == CAPTURE[-1]), 0)
    recorded = recorded[start:]
    if len(recorded) == len(cells):  # A secret may have been taken out of a source.
        return tuple(replace(e, source=c) for e, c in zip(recorded, cells, strict=True))
    events: list[CellEvent] = []
    position = 0
    for number, cell in enumerate(cells):
        found = next((i for i in range(position, len(recorded)) if recorded[i].source == cell), -1)
        if found >= 0:
            events.append(recorded[found])
            position = found + 1
        else:
            events.append(CellEvent("", number + 1, cell, 0.0, 0.0, "ok"))
    return tuple(events)


def value_source() -> str:
    """The source of ``harness_value``, to be executed where the value is."""
    return (files(__package__) / "harness_value.py").read_text("utf-8")


def kernel_environment(env: dict[str, str], home: Path) -> dict[str, str]:
    """Return the environment of a kernel whose own files are in ``home``.

    The agent is off, so nothing outlives it; this package is importable even from a checkout.
    """
    import sysconfig

    root = str(Path(__file__).parents[2])
    result = {k: v for k, v in env.items() if not k.startswith(("JUPYTER_MLOPS_", "JPY_"))}
    result |= {
        "JUPYTER_MLOPS_AGENT": "off",
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(home),
        "PYTHONHASHSEED": "0",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    if root not in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        paths = [p for p in result.get("PYTHONPATH", "").split(":") if p]
        result["PYTHONPATH"] = ":".join(dict.fromkeys([*paths, root]))
    return result


def as_message(error: Any) -> str:
    """One line for what a cell raised."""
    return f"{type(error).__name__}: {error}"[:300]
