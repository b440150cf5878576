"""Where the zygote of an interpreter and a set of modules listens."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import ServiceError, UsageError
from .zygote.environment import is_native
from .zygote.wire import PROTOCOL

__all__ = ["Address", "address_of", "normal_modules", "runtime_folder", "unsupported"]

_LONGEST_PATH = 100  # of a Unix socket: 107 bytes


class Address:
    """The key of a zygote and the path of its socket."""

    def __init__(self, key: str, path: Path) -> None:
        self.key = key
        self.path = path


def unsupported() -> str | None:
    """Why this system has no warm kernels, ``None`` if it has."""
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return f"warm kernels need Linux, and this is {sys.platform}"
    return None


def normal_modules(modules: Sequence[str]) -> tuple[str, ...]:
    """Sorted, without doubles; ``UsageError`` for what is no dotted name."""
    for name in modules:
        if not all(part.isidentifier() for part in name.split(".")):
            raise UsageError(f"{name!r} is not the name of a module")
    return tuple(sorted(set(modules)))


def address_of(
    interpreter: Sequence[str], modules: Sequence[str], environment: Mapping[str, str]
) -> Address:
    """The address for ``interpreter`` (its path and flags) with ``modules`` imported.

    Variables that act in native code when it is loaded are a part of it; what else acted at import
    the zygote finds out itself.  ``ServiceError`` if no private socket can be there.
    """
    native = {name: value for name, value in environment.items() if is_native(name)}
    path, *flags = interpreter
    # python and python3 of one environment are one; those of two environments are not, though both
    # lead to the same file.
    one = [os.path.realpath(os.path.dirname(path)), os.path.realpath(path), *flags]
    what = [PROTOCOL, *one, normal_modules(modules), sorted(native.items())]
    text = json.dumps(what).encode("utf-8", "surrogatepass")
    key = hashlib.blake2b(text, digest_size=10).hexdigest()
    place = runtime_folder() / f"z-{key}.sock"
    if len(os.fsencode(place)) > _LONGEST_PATH:
        raise ServiceError(f"the path of the socket is too long: {place}")
    return Address(key, place)


def runtime_folder() -> Path:
    """The folder for sockets that run code, which only this user may enter; ``ServiceError``."""
    from jupyter_core.paths import jupyter_runtime_dir

    folder = Path(jupyter_runtime_dir()) / "mlops"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise ServiceError(f"{folder} is not a folder of this user's own")
        if stat.S_IMODE(found.st_mode) != 0o700:
            folder.chmod(0o700)  # the socket runs code: nobody else may reach it
    except OSError as error:
        raise ServiceError(f"{folder} cannot be used: {error.strerror or error}") from error
    return folder
