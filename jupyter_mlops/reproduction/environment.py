"""The environment of a run, built again from its lock by uv."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConflictError, ServiceError, UsageError
from ..model.events import EnvironmentRecord

__all__ = ["BuiltEnvironment", "build_environment", "find_uv", "requirements_of"]

_OURS = re.compile(r"#?\s*jupyter[-_]mlops\b", re.I)
_LEFT_OUT = re.compile(r"# (?!Python |uv pip )([A-Za-z0-9._-]+ [^:]+: .+)")
_READY = "mlops-ready.json"
# What our own part in the kernel needs, beside what it finds there.
_OBSERVER = "import IPython, ipykernel, blake3, xxhash, jupyter_mlops.magics"


@dataclass(frozen=True, slots=True)
class BuiltEnvironment:
    """An interpreter with the packages of a lock.

    ``left_out`` are the lines of the lock that no index can answer (folders of that machine);
    ``reused`` says that it had been built before.
    """

    python: Path
    folder: Path
    left_out: tuple[str, ...] = ()
    reused: bool = False


def requirements_of(lock: str) -> tuple[str, tuple[str, ...]]:
    """Split a lock into what can be installed and, in words, what cannot.

    Our own package is in neither: the one that runs now observes the run, whichever version did
    then.
    """
    wanted, left_out = [], []
    for line in lock.splitlines():
        if _OURS.match(line):
            continue
        if line and not line.startswith("#"):
            wanted.append(line)
        elif (found := _LEFT_OUT.match(line)) is not None:
            left_out.append(found.group(1))
    return "\n".join(wanted) + "\n", tuple(left_out)


def build_environment(
    record: EnvironmentRecord, home: Path, *, say: Callable[[str], None] | None = None
) -> BuiltEnvironment:
    """Build the environment of ``record`` below the folder ``home``, or take it from there.

    It is a virtual environment of the same Python version, made by uv, with the lock's packages at
    their versions.  Where it is half built, because an earlier build was interrupted, it is built
    anew.

    Raises ``UsageError`` when there is no lock or no such Python, ``ConflictError`` when another
    process builds the same, ``ServiceError`` when the index does not have, or does not answer for,
    what the lock names.
    """
    requirements, left_out = requirements_of(record.lock)
    if not requirements.strip():
        raise UsageError(
            "this run has no lock of its environment",
            hint="Reproduce it in the environment of today: --this-environment",
        )
    folder = home / record.digest.rpartition(":")[2][:20]
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if _is_ready(folder, requirements):
        return BuiltEnvironment(python, folder, left_out, reused=True)
    uv = find_uv()
    home.mkdir(parents=True, exist_ok=True)
    with _alone(folder.with_suffix(".lock"), folder):
        if _is_ready(folder, requirements):
            return BuiltEnvironment(python, folder, left_out, reused=True)
        shutil.rmtree(folder, ignore_errors=True)
        if say is not None:
            count = len(requirements.split("\n")) - 1
            say(f"Building the run's environment: Python {record.python}, {count} packages")
        _python(uv, record.python, folder)
        listing = folder / "requirements.txt"
        listing.write_text(requirements, encoding="utf-8")
        _uv(
            [
                uv,
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--python",
                str(python),
                "-r",
                str(listing),
            ],
            "the packages of the run's lock cannot be installed",
        )
        _lend_observer(folder, python)
        ready = json.dumps({"requirements": requirements, "python": record.python})
        (folder / _READY).write_text(ready, encoding="utf-8")
    return BuiltEnvironment(python, folder, left_out)


def find_uv() -> str:
    """The program uv.  Raises ``UsageError`` when it is not installed."""
    with contextlib.suppress(ImportError, FileNotFoundError):
        from uv import find_uv_bin

        return str(find_uv_bin())
    beside = shutil.which("uv", path=sysconfig.get_path("scripts")) or shutil.which("uv")
    if beside is None:
        raise UsageError(
            "uv is not installed, and it builds the environments of runs",
            hint=f"{sys.executable} -m pip install uv",
        )
    return beside


def _python(uv: str, version: str, folder: Path) -> None:
    try:
        _run([uv, "venv", "--quiet", "--python", version, str(folder)])
    except subprocess.CalledProcessError:
        # The same minor version is another Python, but its packages are the same.
        minor = ".".join(version.split(".")[:2])
        try:
            _run([uv, "venv", "--quiet", "--python", minor, str(folder)])
        except subprocess.CalledProcessError as error:
            raise UsageError(
                f"there is no Python {version} on this machine, nor another {minor}",
                hint=f"uv python install {version}, or use the environment of today: "
                "--this-environment",
            ) from error


def _lend_observer(folder: Path, python: Path) -> None:
    """Let the environment import this very package, and nothing else of where it lies."""
    lent = folder / "observer"
    lent.mkdir()
    package = Path(__file__).resolve().parents[1]
    try:
        (lent / package.name).symlink_to(package, target_is_directory=True)
    except OSError:  # Windows without the right to make links
        shutil.copytree(package, lent / package.name)
    places = _run(
        [str(python), "-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    )
    (Path(places.strip()) / "jupyter_mlops_observer.pth").write_text(f"{lent}\n", encoding="utf-8")
    try:
        _run([str(python), "-I", "-c", _OBSERVER])
    except subprocess.CalledProcessError as error:
        last = (error.stderr or "").strip().rpartition("\n")[2]
        raise UsageError(
            f"the run's environment cannot be observed by this version of jupyter-mlops: {last}",
            hint="Use the environment of today: --this-environment",
        ) from error


def _is_ready(folder: Path, requirements: str) -> bool:
    try:
        ready = json.loads((folder / _READY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    # Another version of this package may lie elsewhere.
    package = folder / "observer" / "jupyter_mlops"
    ours = package.is_dir() and package.resolve() == Path(__file__).resolve().parents[1]
    return bool(ready.get("requirements") == requirements and ours)


@contextlib.contextmanager
def _alone(lock: Path, what: Path) -> Iterator[None]:
    """One builder at a time: an open file that the system unlocks when its process ends."""
    with lock.open("a") as file:
        if os.name != "nt":
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ConflictError(
                    f"another process is building {what}", hint="Try again when it has ended."
                ) from error
        yield


def _uv(command: list[str], problem: str) -> None:
    try:
        _run(command)
    except subprocess.CalledProcessError as error:
        lines = [line for line in (error.stderr or "").splitlines() if line.strip()]
        raise ServiceError(
            f"{problem}: {' '.join(' '.join(lines[-6:]).split())[:600]}",
            hint="Check the network and the index, or use the environment of today: "
            "--this-environment",
        ) from error


def _run(command: list[str]) -> str:
    # The caller's own environment must not be where uv installs into, nor what Python imports.
    away = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "CONDA_PREFIX")
    env = {name: value for name, value in os.environ.items() if name not in away}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    return done.stdout
