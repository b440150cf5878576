"""What a forked process does to become the kernel that was asked for."""

from __future__ import annotations

import ctypes
import functools
import os
import runpy
import signal
import sys
from typing import Any

from . import leash, standing

__all__ = [
    "become_kernel",
    "end_with_zygote",
    "forget_the_zygote",
    "freshen_libraries",
    "freshen_standard_library",
    "run_cells",
    "run_kernel",
    "set_environment",
]

_PR_SET_PDEATHSIG = 1


def become_kernel(request: dict[str, Any], descriptors: list[int]) -> None:
    """Leave the zygote behind: session, standard streams, signals, environment, working folder.

    ``descriptors``: standard input, output and error, perhaps the leash, and for cells the
    connection to whoever runs them, which is left alone.
    """
    if request.get("cells"):
        descriptors = descriptors[:-1]
    os.setsid()
    if request["pdeathsig"]:
        end_with_zygote(request["pdeathsig"])
    for number in range(3):
        os.dup2(descriptors[number], number)
        os.close(descriptors[number])
    if len(descriptors) > 3:
        os.set_inheritable(descriptors[3], False)
        leash.on(descriptors[3])
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    set_environment(request["env"])
    os.chdir(request["cwd"])
    standing.adopt(request["zygote"], request["standing"])
    freshen_standard_library(request)


def run_kernel(request: dict[str, Any], blas: Any) -> None:
    """Be the kernel until it ends; returns or raises as ``python -m ipykernel_launcher`` does."""
    freshen_libraries(request["env"], blas)
    forget_the_zygote()
    from ipykernel import kernelapp

    # 1 (and not 0): nobody's thread polls for a parent, and no banner is printed for a terminal.
    launch = functools.partial(kernelapp.IPKernelApp.launch_instance, parent_handle=1)
    if request["script"] is None:
        launch()
    else:
        kernelapp.launch_new_instance = launch
        runpy.run_path(request["script"], run_name="__main__")


def run_cells(request: dict[str, Any], blas: Any, descriptor: int) -> None:
    """Be a kernel without sockets until it ends (``cells.run_cells``)."""
    from . import cells

    freshen_libraries(request["env"], blas)
    forget_the_zygote()
    os.set_inheritable(descriptor, False)
    cells.run_cells(descriptor)


def end_with_zygote(number: int) -> None:
    """Be sent this signal when the zygote dies; 0: none."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def forget_the_zygote() -> None:
    """Leave no module behind that only the zygote has."""
    for name in [n for n in sys.modules if n.partition(".")[0] == "_mlops_zygote"]:
        del sys.modules[name]


def set_environment(asked: dict[str, str]) -> None:
    """Make the environment what is asked for."""
    for name in [n for n in os.environ if n not in asked]:
        del os.environ[name]
    for name, value in asked.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def freshen_standard_library(request: dict[str, Any]) -> None:
    """Have the standard library know of this process what it knew of the zygote."""
    sys.argv = [request["script"] or request["launcher"], *request["args"]]
    sys.orig_argv = list(request["command"])
    sys.executable = request["command"][0]  # another name of the same one, perhaps
    if os.isatty(1):  # the zygote's was none, so that Python chose otherwise
        output: Any = sys.stdout
        output.reconfigure(line_buffering=True)
    for path, finder in list(sys.path_importer_cache.items()):
        if finder is None:  # a folder that was not there may have come
            del sys.path_importer_cache[path]
    loaded: Any = sys.modules
    if "tempfile" in loaded:
        loaded["tempfile"].tempdir = None
    if "time" in loaded and hasattr(loaded["time"], "tzset"):
        loaded["time"].tzset()
    if "multiprocessing.process" in loaded:
        process = loaded["multiprocessing.process"]
        process.ORIGINAL_DIR = os.getcwd()
        config = process.current_process()._config
        config["authkey"] = process.AuthenticationString(os.urandom(32))


def freshen_libraries(environment: dict[str, str], blas: Any) -> None:
    """Give libraries a random state and threads of their own."""
    loaded: Any = sys.modules
    # `random` reseeds itself at a fork, and NumPy's new generators seed themselves when made.
    if "numpy.random" in loaded:
        loaded["numpy.random"].seed()
    if "torch" in loaded:
        loaded["torch"].seed()
    if "numexpr" in loaded:
        loaded["numexpr"].utils._init_num_threads()
    if blas is not None:
        count = 0
        for name in ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"):
            word = environment.get(name, "").partition(",")[0]
            if word.isdigit() and int(word) > 0:
                count = int(word)
                break
        for library in blas.lib_controllers:
            library.set_num_threads(count or len(os.sched_getaffinity(0)))
