"""Notebooks on the fork engine: a zygote for the tests of a module, and a bench that takes it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from jupyter_mlops.warm import client, end_zygotes, ensure_zygote
from jupyter_mlops.warm.address import Address
from jupyter_mlops.warm.choosing import Choice, warm_kernels

from .bench import Bench

__all__ = ["MODULES", "ForkBench", "until_ahead", "zygote_for_tests"]

MODULES = ("matplotlib.pyplot", "pandas")


@contextmanager
def zygote_for_tests(modules: tuple[str, ...] = MODULES) -> Iterator[Address]:
    """The address of a ready zygote with the usual modules, or these, inside the block."""
    env = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    owner = f"fork tests {modules}"
    zygote = ensure_zygote(sys.executable, modules, owner, env=env)
    try:
        assert zygote.wait(120), zygote.why
        yield zygote.address
    finally:
        end_zygotes(owner)


def until_ahead(address: Address) -> None:
    """Wait until the zygote has a process that waits for the next request."""
    deadline = time.monotonic() + 30
    while not client.ask(address, "hello")["ahead"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


class ForkBench(Bench):
    """Executes on the fork engine, or with ``fork`` false in a kernel of the same zygote."""

    def __init__(
        self, folder: Path, *, fork: bool = True, modules: tuple[str, ...] = MODULES
    ) -> None:
        super().__init__(folder)
        self.fork = fork
        self.modules = modules
        self.choice: Choice | None = None

    def execute(self, parameters: Mapping[str, Any] | None = None, **options: Any) -> Any:
        os.environ.pop("PYTEST_CURRENT_TEST", None)  # ipykernel leaves native output alone with it
        with ExitStack() as stack:
            if not self.fork:
                os.environ["JUPYTER_MLOPS_FORK"] = "off"
                stack.callback(os.environ.pop, "JUPYTER_MLOPS_FORK", None)
            self.choice = stack.enter_context(warm_kernels(self.modules))
            return super().execute(parameters, **options)

    @property
    def starts(self) -> list[str]:
        """How the kernels of the last execution were started."""
        assert self.choice is not None
        return [one["start"] for one in self.choice.starts]
