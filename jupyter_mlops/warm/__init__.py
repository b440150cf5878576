"""Warm kernels: forked from a process that has imported what they will import.

``zygote`` is that process (standard library only, runs under the kernel's interpreter); ``keeper``
starts and ends zygotes; ``client`` asks one for a kernel; ``provisioner`` is what Jupyter loads.
Whatever speaks against a fork, the kernel is started in the ordinary way, and the provisioner says
why.  Names are loaded on use: the thin client needs the zygote's messages only, within
milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .choosing import Choice, warm_kernels
    from .imports import imported_modules
    from .keeper import (
        WORTH_HOLDING,
        Zygote,
        end_zygotes,
        ensure_zygote,
        held_zygotes,
        holder,
        waiter,
    )

__all__ = [
    "WORTH_HOLDING",
    "Choice",
    "Zygote",
    "end_zygotes",
    "ensure_zygote",
    "held_zygotes",
    "holder",
    "imported_modules",
    "waiter",
    "warm_kernels",
]

_ON_USE = {
    "WORTH_HOLDING": "keeper",
    "Choice": "choosing",
    "Zygote": "keeper",
    "end_zygotes": "keeper",
    "ensure_zygote": "keeper",
    "held_zygotes": "keeper",
    "holder": "keeper",
    "waiter": "keeper",
    "imported_modules": "imports",
    "warm_kernels": "choosing",
}


def __getattr__(name: str) -> Any:
    if name in _ON_USE:
        from importlib import import_module

        return getattr(import_module(f".{_ON_USE[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
