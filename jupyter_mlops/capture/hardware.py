"""The machine that a session runs on.  No process is started, no library loaded for it."""

from __future__ import annotations

import os
import platform
import sys
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["hardware"]

_CPUINFO = Path("/proc/cpuinfo")
_NVIDIA = Path("/proc/driver/nvidia/gpus")
_MODEL_KEYS = ("model name", "cpu model", "cpu", "Processor")


def hardware() -> dict[str, Any]:
    """Return ``cpu`` (model), ``cores`` (logical), ``memory`` (bytes) and ``gpu`` (names).

    A graphics card without a driver under ``/proc`` is seen once torch or pynvml use it.
    """
    found: dict[str, Any] = {"cpu": _cpu(), "cores": os.cpu_count() or 0, "memory": _memory()}
    return found | {"gpu": list(_nvidia()) or _loaded_gpus()}


@cache
def _cpu() -> str:
    # The beginning only: the kernel asks every core when all of it is read.
    text = _beginning(_CPUINFO)
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    for key in _MODEL_KEYS:
        if fields.get(key):
            return str(fields[key])
    if sys.platform == "darwin":
        name = _mac_cpu()
        if name:
            return name
    # Not `platform.processor()`, which starts a process.
    return os.environ.get("PROCESSOR_IDENTIFIER") or platform.machine() or "unknown"


@cache
def _memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        import psutil

        return int(psutil.virtual_memory().total)


@cache
def _nvidia() -> tuple[str, ...]:
    names = []
    try:
        for card in sorted(_NVIDIA.iterdir()):
            for line in _beginning(card / "information").splitlines():
                key, _, value = line.partition(":")
                if key.strip() == "Model":
                    names.append(value.strip())
    except OSError:
        return ()
    return tuple(names)


def _loaded_gpus() -> list[str]:
    """By a library that is in use already; starting it up takes seconds and memory of the card."""
    try:
        torch: Any = sys.modules.get("torch")
        cuda = vars(torch).get("cuda") if torch is not None else None
        if cuda is not None and cuda.is_initialized():
            return [str(cuda.get_device_name(n)) for n in range(cuda.device_count())]
        nvml: Any = sys.modules.get("pynvml")
        if nvml is not None:
            handles = map(nvml.nvmlDeviceGetHandleByIndex, range(nvml.nvmlDeviceGetCount()))
            names = map(nvml.nvmlDeviceGetName, handles)
            return [n.decode() if isinstance(n, bytes) else str(n) for n in names]
    except Exception:  # Not started, no card, another version: then it is not known.
        return []
    return []


def _mac_cpu() -> str:
    try:
        import ctypes

        library = ctypes.CDLL(None)
        size = ctypes.c_size_t(256)
        buffer = ctypes.create_string_buffer(size.value)
        name = b"machdep.cpu.brand_string"
        if library.sysctlbyname(name, buffer, ctypes.byref(size), None, 0) == 0:
            return buffer.value.decode("utf-8", "replace")
    except (OSError, AttributeError, ImportError):
        pass
    return ""


def _beginning(path: Path) -> str:
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return ""
    try:
        return os.read(file, 4096).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(file)
