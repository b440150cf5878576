"""What a process that is begun ahead does: become a kernel, wait, take on the rest.

The zygote's side is ``ahead``.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from . import child, wire
from .environment import Reads
from .files import stamp

__all__ = ["run_ahead"]

_CONFIGURED = ("extra_extensions", "exec_lines", "exec_files", "file_to_run", "code_to_run")


def run_ahead(request: dict[str, Any], blas: Any, descriptor: int) -> NoReturn:
    """Get as far as ``request`` allows, say so on ``descriptor``, and be what is asked for then.

    Ends when the zygote does, and when this kernel is not one that can be begun ahead.
    """
    try:
        control = socket.socket(fileno=descriptor)
        begun = _begin(request, blas, control)
        effects = _effects(request["env"])
        asked, descriptors = wire.receive(control)
        control.close()
        _take_on({**asked, "env": effects(asked["env"])}, descriptors, begun)
    except BaseException:
        os._exit(1)
    begun.run()
    os._exit(0)


def _begin(request: dict[str, Any], blas: Any, control: socket.socket) -> Any:
    from . import cells

    streams = [os.open(os.devnull, os.O_RDWR) for _ in range(3)]
    # Whatever its start may hang in: nobody but the zygote knows of it yet.
    child.become_kernel({**request, "cells": False, "pdeathsig": signal.SIGKILL}, streams)
    loaded = set(sys.modules)
    reads = Reads()
    reads.install()
    files = _looked_for()
    why = _configured(
        files
    )  # before code of the person's own would run once more than there are runs
    if why is None:
        child.freshen_libraries(request["env"], blas)
        child.forget_the_zygote()
        begun = cells.Begun(None)
        why = _obstacle(begun, loaded, files)
    reads.remove()
    if why is not None:
        wire.send(control, {"ready": False, "why": why})
        os._exit(0)
    found = {"names": sorted(reads.names), "whole": reads.whole, "files": files}
    wire.send(control, {"ready": True, **found})
    return begun


def _looked_for() -> dict[str, tuple[int, int] | None]:
    """The configuration files that there may be, and the folder of start-up files."""
    from IPython.core import application
    from IPython.paths import get_ipython_dir

    home = get_ipython_dir()
    profile = os.path.join(home, "profile_default")
    folders = [os.getcwd(), home, profile]
    for name in ("SYSTEM_CONFIG_DIRS", "ENV_CONFIG_DIRS"):
        folders += getattr(application, name, [])
    found = {}
    for folder in folders:
        for stem in ("ipython_config", "ipython_kernel_config"):
            for suffix in (".py", ".json"):
                path = os.path.join(folder, stem + suffix)
                found[path] = stamp(path)
    startup = os.path.join(profile, "startup")
    os.makedirs(startup, exist_ok=True)  # as IPython does
    return {**found, startup: stamp(startup)}


def _configured(files: dict[str, Any]) -> str | None:
    """Why code of the person's own runs as the kernel sets itself up."""
    *configurations, startup = files
    if any(files[path] is not None for path in configurations):
        return "there is a configuration file"
    if any(name.endswith((".py", ".ipy")) for name in os.listdir(startup)):
        return "there are start-up files"
    return None


def _obstacle(begun: Any, loaded: set[str], files: dict[str, Any]) -> str | None:
    """Why this kernel may be another when it is begun later."""
    app = begun.app
    if begun.line.lost:
        return "it said something already"
    if any(getattr(app, name, None) for name in _CONFIGURED):
        return "code is configured that runs at the start"
    known = {os.path.dirname(path) for path in files}
    if not {os.path.abspath(path) for path in app.config_file_paths} <= known:
        return "configuration is looked for in other folders, too"
    if app.profile_dir.startup_dir not in files:
        return "it has another profile"
    here = os.getcwd() + os.sep
    for name in set(sys.modules) - loaded:
        origin = getattr(getattr(sys.modules[name], "__spec__", None), "origin", None)
        if isinstance(origin, str) and origin.startswith(here):
            return f"it imports {name} from the working folder"
    return None


def _effects(before: dict[str, str]) -> Callable[[dict[str, str]], dict[str, str]]:
    """What the kernel did to its environment as it set itself up, as a change to another one."""
    added = {name: value for name, value in os.environ.items() if before.get(name) != value}
    removed = before.keys() - os.environ.keys()
    return lambda asked: {n: v for n, v in {**asked, **added}.items() if n not in removed}


def _take_on(asked: dict[str, Any], descriptors: list[int], begun: Any) -> None:
    """Become what a fork for this request would have become."""
    child.end_with_zygote(asked["pdeathsig"])
    child.set_environment(asked["env"])
    child.freshen_standard_library(asked)
    os.chdir(asked["cwd"])
    here = os.getcwd()
    for path, finder in sys.path_importer_cache.items():
        # A file may have come within the clock's tick in which the folder was listed.
        if finder is not None and os.path.abspath(path) == here:
            getattr(finder, "invalidate_caches", int)()
    os.dup2(descriptors[0], 0)
    cells = socket.socket(fileno=descriptors[3])
    os.set_inheritable(cells.fileno(), False)
    begun.connect(cells, descriptors[1:3])
    for descriptor in descriptors[:3]:
        os.close(descriptor)
