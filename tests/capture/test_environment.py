from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import pytest

from jupyter_mlops.capture import environment, hardware
from jupyter_mlops.capture.environment import current_environment, prepare
from jupyter_mlops.model.events import EnvironmentRecord, record_from_dict

UV = shutil.which(
    "uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
)


def test_the_record_of_this_interpreter() -> None:
    found = current_environment("s1")
    assert found.session == "s1"
    assert found.python == ".".join(map(str, sys.version_info[:3]))
    assert found.packages["blake3"] == __import__("importlib.metadata").metadata.version("blake3")
    assert f"\nblake3=={found.packages['blake3']}\n" in found.lock
    assert found.digest.startswith("blake3:")
    assert len(found.digest) == len("blake3:") + 64
    assert record_from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert current_environment("s2").digest == found.digest


@pytest.mark.skipif(UV is None, reason="needs uv")
def test_uv_finds_this_environment_in_the_lock(tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_text(current_environment("s").lock)
    done = subprocess.run(
        [str(UV), "pip", "install", "--dry-run", "--no-deps", "--offline", "--no-config",
         "--python", sys.executable, "-r", str(tmp_path / "lock.txt")],
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Would make no changes" in done.stdout + done.stderr


@pytest.mark.skipif(UV is None, reason="needs uv")
def test_uv_finds_a_git_and_an_archive_install_in_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site-packages"
    commit = "0123456789abcdef0123456789abcdef01234567"
    for name, origin in {
        "from_git": {
            "url": "https://host.invalid/a.git",
            "vcs_info": {"vcs": "git", "commit_id": commit, "requested_revision": commit},
        },
        "from_archive": {"url": "https://host.invalid/b-1.0-py3-none-any.whl", "archive_info": {}},
        "from_index": None,
        "of_here": {"url": "file:///somewhere", "dir_info": {"editable": True}},
    }.items():
        folder = site / f"{name}-1.0.dist-info"
        folder.mkdir(parents=True)
        title = name.replace("_", "-")
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {title}\nVersion: 1.0\n")
        for empty in ("RECORD", "WHEEL", "INSTALLER"):
            (folder / empty).write_text("")
        if origin is not None:
            (folder / "direct_url.json").write_text(json.dumps(origin))
    monkeypatch.setattr(sys, "path", [str(site)])
    text = environment._Reader().record().lock
    assert [line.split(" ")[0] for line in text.splitlines() if not line.startswith("#")] == [
        "from-archive", "from-git", "from-index==1.0",
    ]  # fmt: skip
    (tmp_path / "lock.txt").write_text(text)
    done = subprocess.run(
        [str(UV), "pip", "install", "--dry-run", "--no-deps", "--offline", "--no-config",
         "--python", sys.executable, "--target", str(site), "-r", str(tmp_path / "lock.txt")],
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Would make no changes" in done.stdout + done.stderr


def test_what_is_installed_later_changes_the_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    reader = environment._Reader()
    empty = reader.record()
    assert reader.record() is empty
    (tmp_path / "new_one-1.0.dist-info").mkdir()
    os.utime(tmp_path, ns=(1, 1))
    more = reader.record()
    assert more.packages == {"new-one": "1.0"}
    assert more.digest != empty.digest
    (tmp_path / "new_one-1.0.dist-info").rmdir()
    os.utime(tmp_path, ns=(2, 2))
    assert reader.record() == empty


def test_a_conda_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conda-meta").mkdir()
    for name in (
        "mkl-2023.1.0-h_46344.json",
        "python-3.12.1-hab_0_cpython.json",
        "history",
        "x.json",
    ):
        (tmp_path / "conda-meta" / name).write_text("{}")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "numpy-1.0.dist-info").mkdir()
    (tmp_path / "conda-meta" / "ruamel_yaml-1.0-p_0.json").write_text("{}")
    (tmp_path / "site" / "ruamel.yaml-1.0.dist-info").mkdir()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
    found = environment._Reader().record()
    assert found.packages == {
        "conda:mkl": "2023.1.0", "conda:python": "3.12.1", "numpy": "1.0", "ruamel-yaml": "1.0",
    }  # fmt: skip
    assert "# conda: mkl=2023.1.0=h_46344\n" in found.lock


def test_prepared_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_reader", environment._Reader())
    prepare()
    for thread in threading.enumerate():
        if thread.name == "jupyter_mlops.environment":
            thread.join(20)
    assert environment._reader._record is not None


def test_the_cost_of_four_hundred_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(400):
        (tmp_path / f"package_{number}-1.{number}.0.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])

    def took(reader: environment._Reader) -> float:
        began = time.perf_counter()
        reader.record()
        return time.perf_counter() - began

    readers = [environment._Reader() for _ in range(10)]
    assert sorted(map(took, readers))[2] < 0.02
    assert sorted(map(took, readers))[2] < 0.001


def test_the_machine() -> None:
    found = hardware.hardware()
    assert found["cpu"]
    assert found["cores"] == os.cpu_count()
    assert found["memory"] > 2**20
    assert isinstance(found["gpu"], list)
    assert EnvironmentRecord("s", "d", "3", "l", hardware=found).to_dict()["hardware"] == found


def test_no_process_is_started_and_nothing_loaded() -> None:
    code = """
import sys
def forbid(event, arguments):
    if event.startswith(("subprocess", "os.fork", "os.posix_spawn", "os.system", "os.exec")):
        print("started", event, arguments)
sys.addaudithook(forbid)
from jupyter_mlops.capture.environment import current_environment
assert current_environment("s").packages
print(sorted({"numpy", "psutil", "torch", "importlib.metadata", "IPython"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_cards_by_their_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (0, 1):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "information").write_text(
            f"Model: \t\t NVIDIA Card {number}\nIRQ:   \t\t 1\n"
        )
    monkeypatch.setattr(hardware, "_NVIDIA", tmp_path)
    hardware._nvidia.cache_clear()
    try:
        assert hardware.hardware()["gpu"] == ["NVIDIA Card 0", "NVIDIA Card 1"]
    finally:
        hardware._nvidia.cache_clear()


def test_cards_by_a_library_only_when_it_uses_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cuda:
        started = False

        def is_initialized(self) -> bool:
            return self.started

        def device_count(self) -> int:
            return 1

        def get_device_name(self, number: int) -> str:
            return f"Card {number}"

    torch = types.ModuleType("torch")
    torch.cuda = Cuda()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert hardware._loaded_gpus() == []
    torch.cuda.started = True
    assert hardware._loaded_gpus() == ["Card 0"]
    torch.cuda = None  # type: ignore[attr-defined]
    nvml = types.ModuleType("pynvml")
    monkeypatch.setitem(sys.modules, "pynvml", nvml)  # Not started: every call of it raises.
    assert hardware._loaded_gpus() == []
