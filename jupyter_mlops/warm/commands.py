"""What a kernel's command says of the process that it starts."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["LAUNCHER", "Cold", "kernel_parts"]

# What headless runs start in place of ipykernel_launcher; a path only, nothing is imported of it.
LAUNCHER = str(Path(__file__).parents[1] / "integrations" / "engine_kernel_main.py")


class Cold(Exception):
    """Why the kernel is to be started in the ordinary way."""


def kernel_parts(command: list[str]) -> tuple[list[str], str | None, list[str]]:
    """The interpreter with its flags, our launcher if it is that, and the kernel's arguments.

    ``Cold`` if it is no IPython kernel that a fork can stand for.
    """
    for index, word in enumerate(command[1:], start=1):
        if not os.path.isabs(command[0]):
            break
        if word == LAUNCHER:
            return command[:index], word, command[index + 1 :]
        if command[index : index + 2] == ["-m", "ipykernel_launcher"]:
            return command[:index], None, command[index + 2 :]
        if not word.startswith("-") or word in ("-m", "-c"):
            break
    raise Cold("its command is not 'python -m ipykernel_launcher' with the path of the Python")
