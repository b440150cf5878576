"""What a plain ``run`` imports, up to its last line.

Of all that only two things are called, which read what is installed: whenever that changes, the
runner is stale.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

from ..._version import version
from ...model.wiring import load_port

__all__ = ["import_all"]

_OURS = (
    "jupyter_mlops.capture.agent_client",
    "jupyter_mlops.cli.main",
    "jupyter_mlops.cli.run",
    "jupyter_mlops.pipelines.delivering",
    "jupyter_mlops.warm.keeper",
    "jupyter_mlops.warm.provisioner",
    "jupyter_mlops.warm.zygote.standing",
)
# What jupyter_client, ZeroMQ and IPython import when they are first used.
_LATE = (
    "IPython.paths",
    "encodings.ascii",
    "ipykernel.connect",
    "ipykernel.kernelspec",
    "jupyter_client.asynchronous",
    "jupyter_client.blocking",
    "jupyter_client.provisioning.factory",
    "jupyter_client.provisioning.local_provisioner",
    "shlex",
    "tempfile",
    "zmq.asyncio",
)
# The engine's entry for papermill, and what runs in the kernel's process.
_NOT_HERE = ("engine_kernel_main",)


def import_all() -> None:
    """Import it; what is not to be had costs time later, and the run says what is amiss."""
    executor = load_port("executor")  # the factory itself is not called
    package = sys.modules[executor.__module__.rpartition(".")[0]]
    engine = [
        f"{package.__name__}.{module.name}"
        for module in pkgutil.iter_modules(package.__path__)
        if module.name.startswith("engine_") and module.name not in _NOT_HERE
    ]
    for name in (*_OURS, *_LATE, *engine):
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    version()
    from jupyter_client.provisioning.factory import KernelProvisionerFactory

    # A variable acts on it, which is thereby noted as read.
    _name = KernelProvisionerFactory.instance().default_provisioner_name
