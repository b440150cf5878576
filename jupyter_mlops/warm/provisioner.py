"""The kernel provisioner ``mlops-zygote``: forks the kernel where it can, starts it where not.

The exit of either sort is an event, and not polled for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, cast

from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Bool, List, Unicode

from ..config import Config, load_config
from ..errors import MlopsError
from ..project import open_project
from .address import address_of, unsupported
from .choosing import current_choice, note_start
from .client import Refused, WarmKernel, fork_kernel
from .commands import Cold as _Cold
from .commands import kernel_parts as _parts
from .keeper import holder

__all__ = ["NAME", "ZygoteProvisioner", "register"]

NAME = "mlops-zygote"
# Arguments of Popen that a fork can honour.
_UNDERSTOOD = {"env", "cwd", "stdin", "stdout", "stderr", "independent", "kernel_id",
               "extra_arguments", "start_new_session"}  # fmt: skip


class ZygoteProvisioner(LocalProvisioner):
    """Starts kernels warm; ``report`` says how the last one was started, and why.

    ``report``: ``{"start": "warm" | "cold", "why": text, "modules": [...]}``; it is a part of the
    provisioner's info, too.
    """

    modules: Any = List(
        Unicode(), help="Modules that the kernels' zygote has imported; see also warm-modules."
    ).tag(config=True)
    keep_zygote: Any = Bool(
        False,
        help="Whether this process is to start and hold a zygote where there is none: for one "
        "that starts many kernels, such as a Jupyter server.",
    ).tag(config=True)
    report: dict[str, Any]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.report = {}

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Fork the kernel, or start it as ``LocalProvisioner`` does."""
        modules: tuple[str, ...] = ()
        try:
            modules = self._chosen_modules(kwargs)
            kernel = self._fork(cmd, modules, kwargs)
        except _Cold as cold:
            self._note("cold", str(cold), modules, kwargs)
        except (MlopsError, OSError, ValueError) as error:
            # Whatever it is, an ordinary kernel is never worse than none.
            self._note("cold", f"{type(error).__name__}: {error}", modules, kwargs)
        else:
            self._note("warm", "forked", modules, kwargs)
            # It has all of Popen that LocalProvisioner uses.
            self.process = cast(Any, kernel)
            self.pid = self.pgid = kernel.pid
            self.cwd = kwargs.get("cwd") or os.getcwd()
            return self.connection_info
        return await super().launch_kernel(cmd, **kwargs)

    async def wait(self) -> int | None:
        """Wait for the process to end, and return its exit status."""
        process: Any = self.process
        if process is None:
            return 0
        with contextlib.suppress(OSError, NotImplementedError, AttributeError):
            await _ended(process)
        return await super().wait()

    async def get_provisioner_info(self) -> dict[str, Any]:
        """What is kept of the kernel, with how it was started."""
        info: dict[str, Any] = await super().get_provisioner_info()
        info["mlops"] = dict(self.report)
        return info

    def _note(
        self, start: str, why: str, modules: Sequence[str], kwargs: Mapping[str, Any]
    ) -> None:
        env = kwargs.get("env") or {}
        self.report = {"start": start, "why": why, "modules": list(modules)}
        of = {"run": env.get("JUPYTER_MLOPS_PARENT_RUN"), "step": env.get("JUPYTER_MLOPS_STEP")}
        note_start(self.report | of)
        self.log.info("kernel started %s: %s", start, why)

    def _chosen_modules(self, kwargs: Mapping[str, Any]) -> tuple[str, ...]:
        reason = unsupported()
        if reason is not None:
            raise _Cold(reason)
        config = self._config(kwargs)
        if not config.warm:
            raise _Cold("warm kernels are switched off (setting 'warm')")
        more = [name.strip() for name in config.warm_modules.split(",") if name.strip()]
        choice = current_choice()
        chosen = choice.modules if choice is not None else ()
        return tuple(sorted({*self.modules, *more, *chosen}))

    def _config(self, kwargs: Mapping[str, Any]) -> Config:
        try:
            root = open_project(kwargs.get("cwd") or os.getcwd(), create=False).root
        except MlopsError:
            root = None
        return load_config(root)

    def _fork(self, cmd: list[str], modules: tuple[str, ...], kwargs: dict[str, Any]) -> WarmKernel:
        strange = sorted(set(kwargs) - _UNDERSTOOD)
        if strange:
            raise _Cold(f"it was asked for with {', '.join(strange)}")
        command = [os.path.expanduser(word) for word in cmd]
        interpreter, script, arguments = _parts(command)
        env = dict(os.environ if kwargs.get("env") is None else kwargs["env"])
        env = {str(name): str(value) for name, value in env.items()}
        if any(not os.path.isabs(one) for one in env.get("PYTHONPATH", "/").split(os.pathsep)):
            raise _Cold("PYTHONPATH names a folder that is relative to the working folder")
        cwd = os.path.abspath(kwargs.get("cwd") or os.getcwd())
        if not os.path.isdir(cwd):
            raise _Cold("the working folder does not exist")
        independent = bool(kwargs.get("independent"))
        address = address_of(interpreter, modules, env)
        if not independent:
            env["JPY_PARENT_PID"] = str(os.getpid())
        with contextlib.ExitStack() as stack:
            streams = _streams(kwargs, stack)
            try:
                return fork_kernel(
                    address,
                    command,
                    arguments,
                    script=script,
                    env=env,
                    cwd=cwd,
                    streams=streams,
                    independent=independent,
                )
            except Refused as refused:
                if refused.kind in ("absent", "stale", "environment"):
                    self._want(tuple(interpreter), modules, env, refused.kind, kwargs)
                raise _Cold(refused.why) from None

    def _want(
        self,
        interpreter: tuple[str, ...],
        modules: tuple[str, ...],
        env: dict[str, str],
        kind: str,
        kwargs: Mapping[str, Any],
    ) -> None:
        """See to it that there is a zygote for the kernels to come; this one does not wait."""
        env = {name: value for name, value in env.items() if not name.startswith("JPY_")}
        choice = current_choice()
        # Whatever prevents it, this kernel starts.
        with contextlib.suppress(MlopsError, OSError):
            if choice is not None and choice.absent is not None:
                choice.absent(interpreter, modules, env, kind)
            elif self.keep_zygote:
                holder(NAME, self._config(kwargs))(interpreter, modules, env, kind)


def register() -> None:
    """Make the provisioner known in this process, also where the package is not installed."""
    from importlib.metadata import EntryPoint

    factory = KernelProvisionerFactory.instance()
    value = f"{__name__}:{ZygoteProvisioner.__name__}"
    factory.provisioners[NAME] = EntryPoint(NAME, value, factory.GROUP_NAME)


def _streams(kwargs: Mapping[str, Any], stack: contextlib.ExitStack) -> tuple[int, int, int]:
    """The three descriptors that ``Popen`` would give it."""

    def null() -> int:
        descriptor = os.open(os.devnull, os.O_RDWR)
        stack.callback(os.close, descriptor)
        return descriptor

    def one(name: str, inherited: int) -> int:
        given = kwargs.get(name)
        if given is None:
            return null() if name == "stdin" else inherited
        if given == subprocess.DEVNULL:
            return null()
        if given == subprocess.PIPE:
            raise _Cold(f"its {name} is to be a pipe")
        return int(given if isinstance(given, int) else given.fileno())

    stdin, stdout = one("stdin", 0), one("stdout", 1)
    stderr = stdout if kwargs.get("stderr") == subprocess.STDOUT else one("stderr", 2)
    return stdin, stdout, stderr


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _ended(process: Any) -> None:
    """Return when ``process`` has ended, at once where the system has nothing to wait on."""
    if sys.platform != "linux":
        return
    if isinstance(process, WarmKernel):
        descriptor = os.dup(process.fileno())  # several may wait
    else:
        descriptor = os.pidfd_open(process.pid)
    try:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        loop.add_reader(descriptor, _settle, future)
        try:
            await future
        finally:
            loop.remove_reader(descriptor)
    finally:
        os.close(descriptor)
