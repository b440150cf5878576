"""The ways in which a notebook gets its kernel: the rows of the table hold for each."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from jupyter_mlops.warm import end_zygotes, ensure_zygote
from jupyter_mlops.warm.choosing import Choice, warm_kernels

from .bench import Bench

__all__ = [
    "KINDS",
    "OWNER",
    "KindBench",
    "heavy",
    "hold_zygote",
    "kernels_of",
    "parametrize",
    "ready_zygote",
]

KINDS = ("cold", "warm")
OWNER = "engine kinds"
# The heavy rows: in CI with the first kind only.
_Test = TypeVar("_Test", bound=Callable[..., Any])


def heavy(test: _Test) -> _Test:
    """Mark a row that takes seconds: with the kinds after the first it is a full form."""
    test.heavy = True  # type: ignore[attr-defined]
    return test


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for ``engine_kind`` with each."""
    if "engine_kind" in metafunc.fixturenames:
        late = [pytest.mark.full] if getattr(metafunc.function, "heavy", False) else []
        first, *others = KINDS
        metafunc.parametrize(
            "engine_kind", [first, *(pytest.param(one, marks=late) for one in others)]
        )


def hold_zygote(*modules: str) -> None:
    """Start a zygote, unless it is there, and wait until it can fork."""
    env = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    zygote = ensure_zygote(sys.executable, modules, OWNER, env=env)
    assert zygote.wait(120), zygote.why


@contextmanager
def ready_zygote(*modules: str) -> Iterator[None]:
    """A zygote that can fork, inside the block."""
    hold_zygote(*modules)
    try:
        yield
    finally:
        end_zygotes(OWNER)


@contextmanager
def kernels_of(kind: str, *modules: str, strict: bool = True) -> Iterator[Choice]:
    """Kernels that start inside the block are of one kind: with ``strict``, all of them."""
    if kind == "cold":
        yield Choice(())
        return
    os.environ.pop("PYTEST_CURRENT_TEST", None)  # the kernel's imports ask for it
    with ExitStack() as stack:
        os.environ["JUPYTER_MLOPS_FORK"] = "on" if kind == "fork" else "off"
        stack.callback(os.environ.pop, "JUPYTER_MLOPS_FORK", None)
        choice = stack.enter_context(warm_kernels(modules))
        yield choice
    # The fork engine leaves some notebooks to a warm kernel.
    allowed = {"fork", "warm"} if kind == "fork" else {kind}
    assert not strict or {start["start"] for start in choice.starts} <= allowed, choice.starts


class KindBench(Bench):
    """A bench whose kernels are of one kind; ``starts`` are the reports of those that were warm."""

    def __init__(self, folder: Path, kind: str, modules: tuple[str, ...] = ()) -> None:
        super().__init__(folder)
        self.kind = kind
        self.choice = Choice(())
        self._modules = modules

    def execute(self, parameters: Mapping[str, Any] | None = None, **options: Any) -> Any:
        with kernels_of(self.kind, *self._modules, strict=options.get("kernel") is None) as choice:
            self.choice = choice
            return super().execute(parameters, **options)
