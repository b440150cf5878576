"""A forked kernel is a kernel: the same start, the same ends, nothing shared with its siblings."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from jupyter_client.manager import AsyncKernelManager

from jupyter_mlops.warm import Zygote, client

from .conftest import Kernel, environment, gone

Start = Callable[..., Kernel]

_LOOKS = """
import sys, os, signal, threading, json, gc
main = sys.modules["__main__"]
print(json.dumps({
    "argv": sys.argv[:2], "argv_n": len(sys.argv), "path": sys.path, "cwd": os.getcwd(),
    "orig": sys.orig_argv[:4], "main": [main.__name__, getattr(main, "__file__", None)],
    "flags": str(sys.flags), "prefix": sys.prefix,
    "leader": os.getsid(0) == os.getpid() == os.getpgid(0),
    "int": str(signal.getsignal(signal.SIGINT)), "term": str(signal.getsignal(signal.SIGTERM)),
    "chld": str(signal.getsignal(signal.SIGCHLD)), "mask": sorted(signal.pthread_sigmask(0, [])),
    "threads": sorted(t.name for t in threading.enumerate()),
    "streams": [sys.__stdout__.line_buffering, sys.__stderr__.line_buffering, sys.__stdin__.read()],
    "umask": os.umask(0o022) and 0, "ours": [m for m in sys.modules if "mlops_zygote" in m],
    "hook": sys.excepthook.__qualname__, "limits": __import__("resource").getrlimit(7),
    "env": {k: v for k, v in os.environ.items() if k != "JPY_SESSION_NAME"},
}, sort_keys=True))
"""


def test_looks_like_one_that_was_started_cold(start: Start) -> None:
    warm = start()
    assert warm.report["start"] == "warm", warm.report
    looks = json.loads(warm.run(_LOOKS))
    cold = start(env=environment(), stdin=subprocess.DEVNULL, pass_fds=())
    assert cold.report["why"] == "it was asked for with pass_fds"
    expected = json.loads(cold.run(_LOOKS))
    assert looks.pop("env") == expected.pop("env")
    # A cold one has a thread that polls for its parent; the fork is told by the system.
    named, more = (set(one.pop("threads")) for one in (looks, expected))
    assert {t for t in named if "Thread-" not in t} == {t for t in more if "Thread-" not in t}
    assert len(named) < len(more)
    assert looks == expected


def test_interrupt_restart_and_exit(start: Start) -> None:
    kernel = start()
    # Without this a kernel refuses what comes in the moment after the interrupt.
    sleep = "import time; print('in it', flush=True); time.sleep(60)"
    request = kernel.client.execute(sleep, stop_on_error=False)
    while kernel.client.get_iopub_msg(timeout=30)["msg_type"] != "stream":
        pass
    kernel.manager.interrupt_kernel()
    reply = kernel.client.get_shell_msg(timeout=30)
    assert reply["parent_header"]["msg_id"] == request
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    first = kernel.pid
    kernel.run("kept = 1")
    kernel.manager.restart_kernel(now=True)
    kernel.client.wait_for_ready(timeout=60)
    assert kernel.provisioner.report["start"] == "warm"
    assert kernel.pid != first
    assert kernel.run("print('kept' in globals())") == "False"
    kernel.manager.shutdown_kernel()
    assert gone(kernel.pid)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import os; os._exit(7)", 7),
        ("import os; get_ipython().kernel.do_shutdown; exit(); ", 0),
    ],
)
def test_tells_how_it_ended(start: Start, code: str, status: int) -> None:
    kernel = start()
    process = kernel.provisioner.process
    kernel.client.execute(code)
    assert process.wait(30) == status


def test_sys_exit_in_a_cell_leaves_the_kernel_up(start: Start) -> None:
    kernel = start()
    reply = kernel.client.execute_interactive("import sys; sys.exit(0)", timeout=30)
    assert reply["content"]["ename"] == "SystemExit"
    assert kernel.run("print('up')") == "up"


def test_runs_what_was_registered_for_the_exit(start: Start, tmp_path: Path) -> None:
    kernel = start()
    kernel.run("import atexit, pathlib\natexit.register(pathlib.Path('left').write_text, 'bye')")
    kernel.manager.shutdown_kernel()
    assert (tmp_path / "left").read_text() == "bye"


def test_two_have_their_own_folder_environment_and_random_state(
    start: Start, tmp_path: Path
) -> None:
    draws = """
import os, random, uuid, secrets, ssl, tempfile, multiprocessing as mp, numpy as np
from sklearn.utils import check_random_state
print([random.random(), np.random.rand(), np.random.default_rng().random(), str(uuid.uuid4()),
       str(uuid.uuid1()), ssl.RAND_bytes(4), secrets.token_hex(4), check_random_state(None).rand(),
       next(tempfile._get_candidate_names()), bytes(mp.current_process().authkey)], sep="|")
"""
    seen = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        env = environment(WHO=name, TMPDIR=str(folder))
        kernel = start(cwd=str(folder), env=env)
        assert kernel.report["start"] == "warm", kernel.report
        code = "import os, tempfile; print(os.environ['WHO'], os.getcwd(), tempfile.gettempdir())"
        assert kernel.run(code) == f"{name} {folder} {folder}"
        seen.append(eval(kernel.run(draws)))
    for first, second in zip(*seen, strict=True):
        assert first != second


def test_takes_on_limits_umask_and_priority(start: Start) -> None:
    before = os.umask(0o027)
    try:
        kernel = start()
    finally:
        os.umask(before)
    assert kernel.report["start"] == "warm", kernel.report
    code = "import os, resource; mine = os.umask(0); os.umask(mine); print(oct(mine), os.nice(0))"
    assert kernel.run(code) == f"0o27 {os.nice(0)}"


def test_dies_with_its_owner(zygote: Zygote, tmp_path: Path) -> None:
    owner = f"""
import sys, time, os
from jupyter_client.manager import KernelManager
from jupyter_mlops.warm.provisioner import NAME, register
from jupyter_client.provisioning.factory import KernelProvisionerFactory
register()
KernelProvisionerFactory.instance().default_provisioner_name = NAME
km = KernelManager()
km.start_kernel(cwd={str(tmp_path)!r})
print(*km.provisioner.report.values(), km.provisioner.pid, sep="|", flush=True)
time.sleep(60)
"""
    command = [sys.executable, "-c", owner]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, text=True, env=environment()) as process:
        assert process.stdout is not None
        start, why, _modules, pid = process.stdout.readline().split("|")
        process.kill()
    assert start == "warm", why
    for _ in range(500):
        if gone(int(pid)):
            return
        time.sleep(0.02)
    pytest.fail("the kernel lives on")


def test_takes_little_memory_of_its_own(start: Start) -> None:
    kernel = start()
    kernel.run("import pandas, sklearn.ensemble; pandas.DataFrame({'a': [1]}).sum()")
    own = psutil.Process(kernel.pid).memory_full_info().uss
    print(f"private memory of a forked kernel: {own / 1e6:.0f} MB")
    whole = psutil.Process(kernel.pid).memory_info().rss
    assert own < whole * 0.6


@pytest.mark.parametrize("many", [6, pytest.param(50, marks=pytest.mark.full)])
def test_many_at_once(zygote: Zygote, tmp_path: Path, many: int) -> None:
    async def one() -> tuple[str, int, int]:
        manager = AsyncKernelManager()
        await manager.start_kernel(cwd=str(tmp_path))
        kernel = manager.client()
        kernel.start_channels()
        try:
            await kernel.wait_for_ready(timeout=120)
            expressions = {"pid": "__import__('os').getpid()"}
            kernel.execute("", user_expressions=expressions)
            reply = await kernel.get_shell_msg(timeout=120)
            said = reply["content"]["user_expressions"]["pid"]["data"]["text/plain"]
            provisioner: Any = manager.provisioner
            return provisioner.report["start"], provisioner.pid, int(said)
        finally:
            kernel.stop_channels()
            await manager.shutdown_kernel(now=True)

    async def together() -> list[tuple[str, int, int]]:
        return await asyncio.gather(*[one() for _ in range(many)])

    began = time.monotonic()
    forks = client.ask(zygote.address, "hello")["forks"]
    for start, pid, said in asyncio.run(together()):
        assert start == "warm"
        assert pid == said
    assert client.ask(zygote.address, "hello")["forks"] == forks + many
    print(f"{many} kernels at once: {time.monotonic() - began:.1f} s")
