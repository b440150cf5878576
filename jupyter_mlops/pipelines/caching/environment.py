"""The environment of a step's kernel: interpreter, packages, variables, settings of libraries."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blake3 import blake3

from ...capture.distributions import DistributionFolders

__all__ = ["Kernel", "environment_of", "kernel_of", "variables_of"]

# Differ between terminals, sessions and runners of a CI system and steer nothing that a step
# computes; one of them that code names counts all the same.
_VOLATILE = re.compile(
    r"(?:JPY_|JUPYTER|PAPERMILL_|PYTEST_|SSH_|XDG_(?!CONFIG|DATA|CACHE)|DBUS_|WINDOW|DISPLAY"
    r"|WAYLAND|GITHUB_|RUNNER_|GITLAB_|CI_|CI$|BUILD_|TERM|COLORTERM|COLUMNS|LINES|SHLVL|PWD|OLDPWD|_$|PS\d"
    r"|LS_COLORS|LESS|PAGER|GIT_|EDITOR|VISUAL|HIST|LOGNAME|USER|MAIL|HOSTNAME|HOSTTYPE|SHELL|PATH$"
    r"|VSCODE_|INVOCATION_ID|JOURNAL_STREAM|TMUX|STY|MOTD|KRB5|NO_COLOR|FORCE_COLOR|CLICOLOR|UV_"
    r"|PIP_|VIRTUAL_ENV_PROMPT|DEBUGINFOD|MANPATH|PYDEVD_|KMP_DUPLICATE|KMP_INIT|_RJEM_)"
)
_ASK = "import json, sys; print(json.dumps([sys.version, sys.prefix, sys.path]))"
_known: dict[tuple[str, ...], tuple[Any, ...]] = {}
_folders = DistributionFolders()


class Kernel:
    """What a kernelspec starts: ``reason`` says why its steps cannot be cached, if so."""

    def __init__(self, name: str) -> None:
        from jupyter_client.kernelspec import KernelSpecManager

        spec = KernelSpecManager().get_kernel_spec(name)
        self.name = name
        self.argv = list(spec.argv)
        self.env = dict(spec.env)
        self.reason: str | None = None
        ours = (
            "python",
            f"python{sys.version_info[0]}",
            "python{}.{}".format(*sys.version_info[:2]),
        )
        command = os.path.expanduser(self.argv[0]) if self.argv else ""
        self.python = sys.executable if command in ours else shutil.which(command) or command
        if spec.language.lower() != "python" or not any("ipykernel" in w for w in self.argv):
            self.reason = f"the kernel {name} is not an IPython kernel, which alone gives evidence"


def kernel_of(name: str) -> Kernel:
    """The kernel of that name; whatever jupyter_client raises for none."""
    return Kernel(name)


def environment_of(kernel: Kernel, variables: Mapping[str, str], cwd: Path) -> dict[str, Any]:
    """Interpreter, platform, packages and settings, each a plain value to compare.

    ``variables`` are the kernel's.  Raises ``OSError`` where the interpreter does not answer.
    """
    version, prefix, path = _interpreter(kernel.python, variables)
    stamp = []
    for entry in dict.fromkeys(os.path.abspath(one) for one in path if one):
        try:
            stamp.append((entry, os.stat(entry).st_mtime_ns))
        except OSError:
            continue
    found = _folders.read(tuple(stamp))
    packages = {
        one.name: one.version if one.origin is None else f"{one.version} {_origin(one.origin)}"
        for one in found.values()
    }
    return {
        "python": version,
        "interpreter": kernel.python,
        "prefix": prefix,
        "path": [one for one in path if one],
        "platform": f"{platform.system()} {platform.machine()} {os.cpu_count()} cores",
        "kernel": [kernel.name, *kernel.argv],
        "packages": packages,
        "settings": _settings(variables, cwd, prefix, [one for one, _ in stamp]),
    }


def variables_of(environment: Mapping[str, str], named: set[str]) -> dict[str, str]:
    """The variables that may act: all but those that differ from terminal to terminal."""
    return {
        name: value
        for name, value in environment.items()
        if name in named or not _VOLATILE.match(name)
    }


def _interpreter(python: str, variables: Mapping[str, str]) -> tuple[str, str, list[str]]:
    here = os.path.realpath(sys.executable) == os.path.realpath(python)
    same = os.path.dirname(os.path.abspath(sys.executable)) == os.path.dirname(
        os.path.abspath(python)
    )
    if here and same and variables.get("PYTHONPATH") == os.environ.get("PYTHONPATH"):
        return sys.version, sys.prefix, _own_path()
    try:
        stamp = str(os.stat(python).st_mtime_ns)
    except OSError:
        stamp = ""
    key = (python, stamp, variables.get("PYTHONPATH", ""), variables.get("PYTHONHOME", ""))
    if key not in _known:
        done = subprocess.run(
            [python, "-c", _ASK], env=dict(variables), capture_output=True, timeout=60, check=False
        )
        try:
            _known[key] = tuple(json.loads(done.stdout))
        except ValueError:
            raise OSError(f"{python} does not say what it has") from None
    version, prefix, path = _known[key]
    return str(version), str(prefix), list(path)


def _own_path() -> list[str]:
    """The folders that a new interpreter of ours would have: not what this process has added."""
    found = [one for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if one]
    known = (os.path.dirname(os.__file__), sys.prefix, sys.base_prefix)
    for one in sys.path:
        inside = one.startswith(known) or one.endswith(("site-packages", "dist-packages"))
        if one and inside and one not in found:
            found.append(one)
    return found


def _origin(origin: Mapping[str, Any]) -> str:
    """Where a package came from, by commit or digest; its address may hold a password."""
    facts = {key: origin[key] for key in ("vcs_info", "archive_info", "dir_info") if key in origin}
    text = json.dumps([facts, blake3(str(origin.get("url")).encode()).hexdigest()], sort_keys=True)
    return blake3(text.encode()).hexdigest()[:12]


def _settings(
    variables: Mapping[str, str], cwd: Path, prefix: str, path: list[str]
) -> dict[str, str]:
    """Digests of files that steer IPython, Python's start-up and matplotlib, where there are any.

    Only what may have been read before the evidence begins.
    """
    home = Path(variables.get("HOME") or Path.home())
    ipython = Path(variables.get("IPYTHONDIR") or home / ".ipython")
    config = Path(variables.get("XDG_CONFIG_HOME") or home / ".config")
    profile = ipython / "profile_default"
    candidates = [cwd / "matplotlibrc", config / "matplotlib/matplotlibrc",
                  home / ".matplotlib/matplotlibrc"]  # fmt: skip
    if variables.get("MPLCONFIGDIR"):
        candidates.append(Path(variables["MPLCONFIGDIR"]) / "matplotlibrc")
    for folder in (profile, Path("/etc/ipython"), Path("/usr/local/etc/ipython"),
                   Path(prefix) / "etc/ipython"):  # fmt: skip
        for name in ("ipython_config", "ipython_kernel_config"):
            candidates += [folder / f"{name}.py", folder / f"{name}.json"]
    for folder in (profile / "startup", *map(Path, path)):
        wanted = (".py", ".ipy") if folder.name == "startup" else (".pth",)
        try:
            names = [name for name in os.listdir(folder) if name.endswith(wanted)]
        except OSError:
            continue
        if wanted == (".pth",) and not folder.name.endswith("-packages"):
            names = []
        candidates += [folder / name for name in names]
    found = {}
    for file in candidates:
        try:
            found[str(file)] = blake3(file.read_bytes()).hexdigest()[:32]
        except OSError:
            continue
    return found
