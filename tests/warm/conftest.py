"""A zygote that the tests of a module share, and kernels started by the provisioner."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from jupyter_mlops.warm import Zygote, end_zygotes, ensure_zygote
from jupyter_mlops.warm.provisioner import NAME, ZygoteProvisioner, register

MODULES = (
    "joblib",
    "lightgbm",
    "numpy",
    "pandas",
    "pyarrow.parquet",
    "sklearn.ensemble",
    "xgboost",
)


def environment(**more: str) -> dict[str, str]:
    """This process's, without what tells ipykernel to leave native output alone under pytest."""
    return {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"} | more


class Kernel:
    """One started kernel and a client of it."""

    def __init__(self, **start: Any) -> None:
        self.manager = KernelManager()
        start.setdefault("env", environment())
        self.manager.start_kernel(**start)
        provisioner = self.manager.provisioner
        assert isinstance(provisioner, ZygoteProvisioner)
        self.provisioner = provisioner
        self.report = provisioner.report
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    @property
    def pid(self) -> int:
        assert isinstance(self.provisioner.pid, int)
        return self.provisioner.pid

    def run(self, code: str, timeout: float = 90.0, **kwargs: Any) -> str:
        """What the code prints; fails with its traceback."""
        text: list[str] = []

        def hook(message: dict[str, Any]) -> None:
            if message["msg_type"] == "stream":
                text.append(message["content"]["text"])

        reply = self.client.execute_interactive(code, output_hook=hook, timeout=timeout, **kwargs)
        content = reply["content"]
        assert content["status"] == "ok", "\n".join(content.get("traceback", [str(content)]))
        return "".join(text).strip()

    def end(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()


def gone(pid: int) -> bool:
    """Whether a process has ended, perhaps not yet reaped by a parent that is not us."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture(scope="module")
def _provisioner() -> Iterator[None]:
    register()
    patch = pytest.MonkeyPatch()
    patch.setenv("JUPYTER_DEFAULT_PROVISIONER_NAME", NAME)
    patch.setenv("JUPYTER_MLOPS_WARM_MODULES", ",".join(MODULES))
    # The factory reads the variable once.
    from jupyter_client.provisioning.factory import KernelProvisionerFactory

    patch.setattr(KernelProvisionerFactory.instance(), "default_provisioner_name", NAME)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def _usual() -> Iterator[Zygote]:
    found = ensure_zygote(sys.executable, MODULES, "tests", env=environment())
    assert found.wait(120), found.why
    yield found
    end_zygotes()
    assert gone(found.pid)


@pytest.fixture(scope="module")
def zygote(_provisioner: None, _usual: Zygote) -> Zygote:
    """A ready zygote with the usual libraries, which kernels of these tests are forked from."""
    return _usual


@pytest.fixture
def start(zygote: Zygote, tmp_path: Path) -> Iterator[Callable[..., Kernel]]:
    """Start kernels that end with the test."""
    kernels: list[Kernel] = []

    def begin(**kwargs: Any) -> Kernel:
        kwargs.setdefault("cwd", str(tmp_path))
        kernel = Kernel(**kwargs)
        kernels.append(kernel)
        return kernel

    yield begin
    for kernel in kernels:
        kernel.end()


@pytest.fixture(scope="module")
def kernel(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """One warm kernel for tests that leave it as it was."""
    found = Kernel(cwd=str(tmp_path_factory.mktemp("shared")))
    assert found.report["start"] == "warm", found.report
    yield found
    found.end()
