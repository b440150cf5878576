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
    child.freshen_libraries(request["env"], blas)
    child.forget_the_zygote()
    begun = cells.Begun(None)
    reads.remove()
    files = _looked_for(begun.app)
    why = _obstacle(begun, loaded, files)
    if why is not None:
        wire.send(control, {"ready": False, "why": why})
        os._exit(0)
    found = {"names": sorted(reads.names), "whole": reads.whole, "files": files}
    wire.send(control, {"ready": True, **found})
    return begun


def _looked_for(app: Any) -> dict[str, tuple[int, int] | None]:
    """The configuration files that there may be, and the folder of start-up files."""
    stems = {app.config_file_name, "ipython_config", "ipython_kernel_config"}
    names = [f"{stem.removesuffix('.py')}{suffix}" for stem in stems for suffix in (".py", ".json")]
    found = {}
    for folder in {*app.config_file_paths, app.profile_dir.location, os.getcwd()}:
        for name in names:
            path = os.path.join(folder, name)
            found[path] = stamp(path)
    startup = app.profile_dir.startup_dir
    return {**found, startup: stamp(startup)}


def _obstacle(begun: Any, loaded: set[str], files: dict[str, Any]) -> str | None:
    """Why this kernel may be another when it is begun later."""
    app = begun.app
    startup = app.profile_dir.startup_dir
    if begun.line.lost:
        return "it said something already"
    if any(there is not None for path, there in files.items() if path != startup):
        return "there is a configuration file"
    if any(name.endswith((".py", ".ipy")) for name in os.listdir(startup)):
        return "there are start-up files"
    if any(getattr(app, name, None) for name in _CONFIGURED):
        return "code is configured that runs at the start"
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
