"""Notebooks on the fork engine: a zygote for the tests of a module, and a bench that takes it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from jupyter_mlops.warm import end_zygotes, ensure_zygote
from jupyter_mlops.warm.choosing import Choice, warm_kernels

from .bench import Bench

__all__ = ["MODULES", "ForkBench", "zygote_for_tests"]

MODULES = ("matplotlib.pyplot", "pandas")


@contextmanager
def zygote_for_tests(modules: tuple[str, ...] = MODULES) -> Iterator[None]:
    """A ready zygote with the usual modules, or these, inside the block."""
    env = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    owner = f"fork tests {modules}"
    zygote = ensure_zygote(sys.executable, modules, owner, env=env)
    try:
        assert zygote.wait(120), zygote.why
        yield
    finally:
        end_zygotes(owner)


class ForkBench(Bench):
    """Executes on the fork engine, or with ``fork`` false in a kernel of the same zygote."""

    def __init__(self, folder: Path, *, fork: bool = True) -> None:
        super().__init__(folder)
        self.fork = fork
        self.choice: Choice | None = None

    def execute(self, parameters: Mapping[str, Any] | None = None, **options: Any) -> Any:
        os.environ.pop("PYTEST_CURRENT_TEST", None)  # ipykernel leaves native output alone with it
        with ExitStack() as stack:
            if not self.fork:
                os.environ["JUPYTER_MLOPS_FORK"] = "off"
                stack.callback(os.environ.pop, "JUPYTER_MLOPS_FORK", None)
            self.choice = stack.enter_context(warm_kernels(MODULES))
            return super().execute(parameters, **options)

    @property
    def starts(self) -> list[str]:
        """How the kernels of the last execution were started."""
        assert self.choice is not None
        return [one["start"] for one in self.choice.starts]
