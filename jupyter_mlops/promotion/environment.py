"""What a replay ran on: the kernel's Python and the versions of the packages that the cells use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ReplayEnvironment", "replay_environment"]

# Run in the kernel's own interpreter, which may be another than this one.
_ASK = """
import importlib.metadata as m, json, platform, sys
found = m.packages_distributions()
names = {d for module in sys.argv[1:] for d in found.get(module, ())}
print(json.dumps({"python": platform.python_version(), "executable": sys.executable,
                  "packages": {name: m.version(name) for name in sorted(names)}}))
"""


@dataclass(frozen=True, slots=True)
class ReplayEnvironment:
    """The interpreter behind a kernel; ``python`` is ``None`` where it could not be asked."""

    executable: str | None = None
    python: str | None = None
    packages: dict[str, str] = field(default_factory=dict)

    def differs_from(self, interpreter: str | None, python: str | None) -> str | None:
        """Say how it is another Python than the session's; ``None`` if it is the same or unknown.

        Paths are compared as they were called, not resolved: two virtual environments may share
        one Python and still hold different packages.
        """
        if self.python is not None and python is not None and self.python != python:
            return f"Python {python} then, {self.python} now"
        if self.executable is None or interpreter is None:
            return None
        if os.path.normpath(self.executable) == os.path.normpath(interpreter):
            return None
        return f"{interpreter} then, {self.executable} now"


def replay_environment(kernel: str, modules: Iterable[str]) -> ReplayEnvironment:
    """Ask the interpreter of a kernel for its version and those of the modules' packages.

    Never raises: a proof without this is still a proof.
    """
    from jupyter_client.kernelspec import KernelSpecManager

    try:
        spec: Any = KernelSpecManager().get_kernel_spec(kernel)
        command = str(spec.argv[0])
        # jupyter_client starts a kernel that says only "python" with its own interpreter.
        if command in ("python", "python3", f"python3.{sys.version_info[1]}"):
            command = sys.executable
        result = subprocess.run(
            [command, "-I", "-c", _ASK, *sorted(modules)],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        found = json.loads(result.stdout)
        return ReplayEnvironment(found["executable"], found["python"], found["packages"])
    except (OSError, subprocess.SubprocessError, LookupError, ValueError, TypeError):
        return ReplayEnvironment()
