"""Makes warm kernels the choice of a stretch of this process's work, without anybody's help.

``jupyter_client`` takes the default provisioner for every kernel whose specification names none; so
whatever starts kernels in the meantime, papermill or our own engine, gets them forked.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Absent", "Choice", "Wait", "current_choice", "note_start", "warm_kernels"]

# Called with the interpreter (path and flags), modules, environment, and the refusal's kind when
# there was no zygote that could fork: for whoever is to start one.  It must not take long.
Absent = Callable[[tuple[str, ...], tuple[str, ...], Mapping[str, str], str], None]
# Called with the first three of these where it pays to wait for a zygote: whether there is one now.
Wait = Callable[[tuple[str, ...], tuple[str, ...], Mapping[str, str]], bool]


@dataclass
class Choice:
    """What holds while ``warm_kernels`` does; ``starts`` has each kernel's report, in order."""

    modules: tuple[str, ...]
    absent: Absent | None = None
    wait: Wait | None = None
    starts: list[dict[str, Any]] = field(default_factory=list)


_choices: list[Choice] = []
_lock = threading.Lock()


def current_choice() -> Choice | None:
    """The innermost choice of this process, if any."""
    return _choices[-1] if _choices else None


def note_start(report: dict[str, Any]) -> None:
    """Add a kernel's report to every choice that holds: each run finds its own in it."""
    with _lock:
        for choice in _choices:
            choice.starts.append(report)


@contextlib.contextmanager
def warm_kernels(
    modules: Sequence[str], absent: Absent | None = None, wait: Wait | None = None
) -> Iterator[Choice]:
    """Have kernels with ``modules`` forked where there is a zygote that can.

    Where there is none, ``absent`` is told, or ``wait`` is asked first, if it is given.
    A provisioner that the person has chosen by ``JUPYTER_DEFAULT_PROVISIONER_NAME`` stays.
    """
    from jupyter_client.provisioning.factory import KernelProvisionerFactory

    from .provisioner import NAME, register

    choice = Choice(tuple(modules), absent, wait)
    register()
    factory = KernelProvisionerFactory.instance()
    with _lock:
        _choices.append(choice)
        if factory.default_provisioner_name == "local-provisioner":
            factory.default_provisioner_name = NAME
            factory.mlops_chosen = True  # type: ignore[attr-defined]
    try:
        yield choice
    finally:
        with _lock:
            _choices.remove(choice)
            if not _choices and getattr(factory, "mlops_chosen", False):
                factory.default_provisioner_name = "local-provisioner"
                factory.mlops_chosen = False  # type: ignore[attr-defined]
