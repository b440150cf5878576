"""Which kind of kernel a notebook gets."""

from __future__ import annotations

import os
import sys
from string import Template
from typing import Any

from ..model.cells import NotForked
from .engine_eligible import obstacle
from .engine_execution import Execution
from .engine_fork import ForkedKernel
from .engine_kernels import CellKernel

__all__ = ["open_kernel"]


def open_kernel(
    notebook: dict[str, Any], execution: Execution, name: str, unforked: str | None = None
) -> CellKernel:
    """The kernel for a notebook: forked where that is possible, or else one with sockets.

    Its report says in ``fork`` why it is not the first; ``unforked`` is such a reason.
    """
    from .engine_kernel import Kernel

    env = {**os.environ, **execution.env}
    # The session that we may have been started from is not the new kernel's.
    env.pop("JPY_SESSION_NAME", None)
    if unforked is None:
        try:
            return _forked(notebook, execution, name, env)
        except NotForked as reason:
            unforked = str(reason)
    return Kernel(name, env=env, cwd=execution.cwd, waking=execution.waking, unforked=unforked)


def _forked(
    notebook: dict[str, Any], execution: Execution, name: str, env: dict[str, str]
) -> ForkedKernel:
    if sys.platform != "linux":
        raise NotForked(f"the fork engine needs Linux, and this is {sys.platform}")
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        spec = KernelSpecManager().get_kernel_spec(name)
    except NoSuchKernel:
        raise NotForked("its kernel is not installed") from None
    reason = obstacle(notebook, execution.cwd)
    if reason is not None:
        raise NotForked(reason)
    command = list(spec.argv)
    ours = ("python", f"python{sys.version_info[0]}", "python{}.{}".format(*sys.version_info[:2]))
    if command and command[0] in ours:
        command[0] = sys.executable
    provisioner = spec.metadata.get("kernel_provisioner", {})
    if provisioner.get("config"):
        raise NotForked("its kernelspec configures a provisioner")
    # As jupyter_client fills in a kernelspec's variables.
    env = env | {key: Template(value).safe_substitute(env) for key, value in spec.env.items()}
    env.pop("PYTHONEXECUTABLE", None)
    return ForkedKernel(
        command,
        provisioner.get("provisioner_name"),
        env=env,
        cwd=execution.cwd,
        waking=execution.waking,
    )
