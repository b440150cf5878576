"""When a zygote forks and when it does not, and how its life ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_mlops.config import Config
from jupyter_mlops.errors import ServiceError, UsageError
from jupyter_mlops.warm import Zygote, client, end_zygotes, ensure_zygote, held_zygotes
from jupyter_mlops.warm.address import address_of
from jupyter_mlops.warm.zygote import wire
from jupyter_mlops.warm.zygote.environment import Reads, first_difference

from .conftest import Kernel, environment, gone

Begin = Callable[..., Zygote]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Start a zygote that is gone after the test."""

    def start(*modules: str, env: dict[str, str] | None = None, **settings: Any) -> Zygote:
        config = Config(**settings)
        return ensure_zygote(
            sys.executable, modules, "test", env=env or environment(), config=config
        )

    yield start
    end_zygotes("test")


def fork(zygote: Zygote, tmp_path: Path, **changes: Any) -> client.WarmKernel:
    """Have a kernel forked that makes its own connection file."""
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", str(tmp_path / "k.json")]
    with open(os.devnull, "r+b") as null:
        given: dict[str, Any] = {
            "env": environment(),
            "cwd": str(tmp_path),
            "streams": (null.fileno(),) * 3,
        }
        return client.fork_kernel(zygote.address, command, command[3:], **(given | changes))


def until(true: Callable[[], bool]) -> None:
    for _ in range(500):
        if true():
            return
        time.sleep(0.02)
    pytest.fail("it did not happen within 10 s")


def refusal(zygote: Zygote, tmp_path: Path, **changes: Any) -> tuple[str, str]:
    with pytest.raises(client.Refused) as caught:
        fork(zygote, tmp_path, **changes)
    assert caught.value.kind != "broken", caught.value.why
    return caught.value.kind, caught.value.why


def test_refuses_what_a_fresh_kernel_would_do_otherwise(begin: Begin, tmp_path: Path) -> None:
    folder = tmp_path / "path"
    folder.mkdir()
    module = folder / "reads_it.py"
    module.write_text("import os\nVALUE = os.environ.get('ACTS_AT_IMPORT')\n")
    env = environment(PYTHONPATH=os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "/")]))
    zygote = begin("reads_it", env=env)
    assert zygote.wait(60), zygote.why
    assert client.ask(zygote.address, "hello")["modules"] == ["reads_it"]

    kernel = fork(zygote, tmp_path, env=env | {"UNSEEN": "1", "JUPYTER_UNSEEN": "2"})
    kernel.kill()
    assert kernel.wait(10) == -signal.SIGKILL
    for name in ("ACTS_AT_IMPORT", "OMP_NUM_THREADS"):
        kind, why = refusal(zygote, tmp_path, env=env | {name: "3"})
        assert (kind, name in why) == ("environment", True)
    work = tmp_path / "work"
    work.mkdir()
    (work / "reads_it.py").write_text("")
    kind, why = refusal(zygote, tmp_path, env=env, cwd=str(work))
    assert (kind, "reads_it.py" in why) == ("shadow", True)
    module.write_text("VALUE = 1\n")
    kind, why = refusal(zygote, tmp_path, env=env)
    assert (kind, str(module) in why) == ("stale", True)
    # It cannot become right again: it ends, and the next is started afresh.
    assert psutil.Process(zygote.pid).wait(20) == 0
    assert ensure_zygote(sys.executable, ["reads_it"], "test", env=env).pid != zygote.pid


def test_leaves_out_what_cannot_be_forked(begin: Begin, tmp_path: Path) -> None:
    sleep = "threading.Thread(target=time.sleep, args=(99,), daemon=True).start()"
    source = f"import threading, time\n{sleep}"
    (tmp_path / "starts_thread.py").write_text(source)
    env = environment(
        PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "/")])
    )
    zygote = begin("starts_thread", "csv", "no_such_module", "polars", env=env)
    assert zygote.wait(60), zygote.why
    hello = client.ask(zygote.address, "hello")
    assert hello["modules"] == ["csv"]
    assert hello["excluded"] == {
        "starts_thread": "starts a thread when it is imported",
        "no_such_module": "ModuleNotFoundError: No module named 'no_such_module'",
        "polars": "does not work in a forked process",
    }
    work = tmp_path / "work"
    work.mkdir()
    kernel = fork(zygote, work, env=env)
    kernel.terminate()
    assert kernel.wait(10) in (-signal.SIGTERM, 0)


@pytest.mark.usefixtures("_provisioner")
def test_kernels_outlive_a_killed_zygote(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_MLOPS_WARM_MODULES", "")
    zygote = begin()
    assert zygote.wait(60), zygote.why
    kernel = Kernel(cwd=str(tmp_path))
    assert kernel.report == {"start": "warm", "why": "forked", "modules": []}
    os.kill(zygote.pid, signal.SIGKILL)
    until(lambda: zygote.state == "ended")
    assert kernel.run("print('alive')") == "alive"
    assert kernel.manager.is_alive()
    kernel.end()
    assert gone(kernel.pid)
    # The next one starts cold, and one after a new zygote warm.
    cold = Kernel(cwd=str(tmp_path))
    assert cold.report["why"] == "no zygote runs for its interpreter and modules"
    assert cold.run("print('up')") == "up"
    cold.end()
    again = begin()
    assert again.pid != zygote.pid
    assert again.wait(60), again.why
    warm = Kernel(cwd=str(tmp_path))
    assert warm.report["start"] == "warm", warm.report
    warm.end()


def test_dies_with_its_owner_however_that_dies(tmp_path: Path) -> None:
    for wait in (0, 60):  # while it imports, and when it is ready
        code = f"""
import sys, time
from jupyter_mlops.warm import ensure_zygote
zygote = ensure_zygote(sys.executable, [], "owner")
zygote.wait({wait})
print(zygote.pid, zygote.address.path, flush=True)
time.sleep(60)
"""
        command = [sys.executable, "-c", code]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
            assert owner.stdout is not None
            pid, path = owner.stdout.readline().split()
            owner.kill()
        until(lambda pid=pid: gone(int(pid)))
        assert not Path(path).exists()


def test_ends_when_idle_and_when_too_large(begin: Begin) -> None:
    small = begin(warm_idle=0.2)
    assert small.wait(60)
    large = begin("csv", warm_memory=1)
    assert large.wait(60)
    # It looks whenever something happens, so an ask is enough.
    time.sleep(0.3)
    for zygote in (small, large):
        with contextlib.suppress(client.Refused):
            client.ask(zygote.address, "hello")
        assert psutil.Process(zygote.pid).wait(20) == 0
    ended = {one["why"] for one in held_zygotes() if one["state"] == "ended"}
    assert ended == {"idle for 0.2 s", "it takes more than 1 bytes"}


def test_speaks_only_its_own_version_and_whole_messages(begin: Begin, tmp_path: Path) -> None:
    zygote = begin()
    assert zygote.wait(60)

    def connect() -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(zygote.address.path))
        return sock

    with connect() as sock:
        wire.send(sock, {"protocol": wire.PROTOCOL + 1, "op": "fork"})
        assert wire.receive(sock)[0]["refused"] == "protocol"
    for rubbish in (b"\xff\xff\xff\xff", b"\0\0\0\2{}", b"\0\0\0\5hello", b"\0"):
        with connect() as sock:
            sock.sendall(rubbish)
            sock.shutdown(socket.SHUT_WR)
            with contextlib.suppress(wire.WireError, ConnectionError):
                assert "refused" in wire.receive(sock)[0]
    assert zygote.address.path.stat().st_mode & 0o777 == 0o600
    assert zygote.address.path.parent.stat().st_mode & 0o777 == 0o700
    assert client.ask(zygote.address, "hello")["forks"] == 0
    with contextlib.suppress(client.Refused):
        client.ask(zygote.address, "stop")
    assert psutil.Process(zygote.pid).wait(20) == 0


def test_is_held_once_and_by_name(begin: Begin) -> None:
    first = begin()
    assert ensure_zygote(sys.executable, [], "other", env=environment()) is first
    end_zygotes("test")
    assert psutil.pid_exists(first.pid)
    end_zygotes("other")
    assert not psutil.pid_exists(first.pid)
    assert first.pid not in [one["pid"] for one in held_zygotes()]
    with pytest.raises(ServiceError, match="cannot be started"):
        ensure_zygote("/no/such/python", [], "test")
    with pytest.raises(UsageError, match="is not the name of a module"):
        ensure_zygote(sys.executable, ["a; b"], "test")


def test_reports_a_python_without_a_kernel(begin: Begin, tmp_path: Path) -> None:
    zygote = ensure_zygote([sys.executable, "-S"], [], "test", env={"PATH": os.environ["PATH"]})
    assert not zygote.wait(60)
    assert zygote.why is not None
    assert "ipykernel" in zygote.why


def test_address_depends_on_what_native_code_reads() -> None:
    def key(*words: str, modules: tuple[str, ...] = (), **env: str) -> str:
        return address_of(words or ("/python",), modules, env).key

    assert key(A="1") == key(A="2")
    assert key(modules=("a", "b", "a")) == key(modules=("b", "a"))
    different = {key(), key(OMP_NUM_THREADS="1"), key("/python", "-O"), key(modules=("a",))}
    assert len(different) == 4


def test_first_difference_that_acts_at_import() -> None:
    mine = {"SEEN": "1", "LANG": "C", "OTHER": "1", "JPY_PARENT_PID": "1"}
    assert (
        first_difference(mine, mine | {"OTHER": "2", "JPY_PARENT_PID": "2"}, {"SEEN"}, False)
        is None
    )
    assert first_difference(mine, mine | {"SEEN": "2"}, {"SEEN"}, False) == "SEEN"
    assert first_difference(mine, mine | {"LANG": "de"}, set(), False) == "LANG"
    assert first_difference(mine, mine | {"OTHER": "2"}, set(), True) == "OTHER"


def test_notes_what_is_read_by_name_and_who_takes_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("READ_ONE", "1")
    reads = Reads()
    reads.install()
    try:
        assert os.environ.get("READ_ONE") == os.getenv("READ_ONE") == "1"
        assert "READ_TWO" not in os.environ
        assert not reads.whole
        assert reads.names == {"READ_ONE", "READ_TWO"}
        dict(os.environ.items())
        assert reads.whole
        assert reads.names == {"READ_ONE", "READ_TWO"}
    finally:
        reads.remove()


def test_two_of_one_address_do_not_remove_each_other(begin: Begin) -> None:
    first = begin()
    assert first.wait(60), first.why
    code = """
import sys
from jupyter_mlops.warm import ensure_zygote
zygote = ensure_zygote(sys.executable, [], "other")
print(zygote.wait(60), zygote.pid, flush=True)
sys.stdin.read()
"""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code]
    env = environment()
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=env) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        ready, pid = other.stdout.readline().split()
        assert ready == "True"
        assert client.ask(first.address, "hello")["pid"] == int(pid)
        end_zygotes("test")
        assert client.ask(first.address, "hello")["pid"] == int(pid)
        other.stdin.close()
    assert not first.address.path.exists()
