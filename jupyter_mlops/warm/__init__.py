"""Warm kernels: forked from a process that has imported what they will import.

``zygote`` is that process (standard library only, runs under the kernel's interpreter); ``keeper``
starts and ends zygotes; ``client`` asks one for a kernel; ``provisioner`` is what Jupyter loads.
Whatever speaks against a fork, the kernel is started in the ordinary way, and the provisioner says
why.
"""

from __future__ import annotations

from .choosing import Choice, warm_kernels
from .imports import imported_modules
from .keeper import Zygote, end_zygotes, ensure_zygote, held_zygotes

__all__ = [
    "Choice",
    "Zygote",
    "end_zygotes",
    "ensure_zygote",
    "held_zygotes",
    "imported_modules",
    "warm_kernels",
]
