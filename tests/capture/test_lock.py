from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from jupyter_mlops.capture.distributions import Distribution
from jupyter_mlops.capture.lock import lock_text, public_address

COMMIT = "0123456789abcdef0123456789abcdef01234567"
GIT = {"vcs": "git", "commit_id": COMMIT, "requested_revision": "main"}
SHA = "a" * 64


def line(origin: Mapping[str, Any] | None, version: str = "1.0") -> str:
    text = lock_text([Distribution("demo", version, origin)], python="3.12.1", platform="Linux")
    assert text.startswith("# Python 3.12.1\n# Linux\n")
    return text.splitlines()[-1]


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (None, "demo==1.0"),
        (
            {"url": "https://github.com/a/b.git", "vcs_info": GIT},
            f"demo @ git+https://github.com/a/b.git@{COMMIT}",
        ),
        (
            {"url": "https://me:pass@host/a.git", "vcs_info": GIT, "subdirectory": "sub/dir"},
            f"demo @ git+https://host/a.git@{COMMIT}#subdirectory=sub/dir",
        ),
        (
            {"url": "ssh://git@host/a.git", "vcs_info": GIT},
            f"demo @ git+ssh://git@host/a.git@{COMMIT}",
        ),
        (
            {"url": "https://h/d-1.0.tar.gz", "archive_info": {"hashes": {"sha256": SHA}}},
            f"demo @ https://h/d-1.0.tar.gz#sha256={SHA}",
        ),
        (
            {"url": "https://h/d 1.zip?token=x&raw=1", "archive_info": {"hash": f"sha256={SHA}"}},
            f"demo @ https://h/d%201.zip?raw=1#sha256={SHA}",
        ),
        ({"url": "https://h/d.tar.gz", "archive_info": {"hash": 3}}, "demo @ https://h/d.tar.gz"),
    ],
)  # fmt: skip
def test_lines_that_install(origin: Mapping[str, Any] | None, expected: str) -> None:
    assert line(origin) == expected
    Requirement(expected)


@pytest.mark.parametrize(
    "origin",
    [
        {"url": "file:///home/somebody/secret-project", "dir_info": {"editable": True}},
        {"url": "file:///home/somebody/secret-project", "dir_info": {}},
        {"url": "file:///home/somebody/secret-project.whl", "archive_info": {}},
        {"url": "file:///home/somebody/secret-project", "vcs_info": GIT},
        {"url": "https://h/secret-project", "vcs_info": {"vcs": "git", "commit_id": "x\n--evil"}},
        {"url": "not an address secret-project"},
        {"url": "https://[secret-project"},
        {"url": "https://h/x\n--index-url https://secret-project"},
    ],
)
def test_what_only_this_machine_has_is_a_comment(origin: Mapping[str, Any]) -> None:
    found = line(origin)
    assert found.startswith("# demo 1.0: ")
    assert "/home" not in found
    assert ("-e" in found) == bool(origin.get("dir_info", {}).get("editable"))


def test_other_kinds_of_history_and_versions() -> None:
    mercurial = {"url": "https://h/x", "vcs_info": {"vcs": "hg", "commit_id": "abc"}}
    assert line(mercurial) == "# demo 1.0: https://h/x at abc, which is not in git"
    assert line(None, "nightly").startswith("# demo nightly: ")
    assert line(None, "2.1.0+cu121") == "demo==2.1.0+cu121"


def test_conda() -> None:
    built = {"url": "file:///home/conda/feedstock_root/work", "dir_info": {}}
    text = lock_text(
        [
            Distribution("numpy", "1.26.4", built),
            Distribution("typing-extensions", "4.1", built),
            Distribution("mine", "0.1", built),
        ],
        python="3.12.1",
        platform="Linux",
        conda={"numpy": "1.26.4=py312h_0", "mkl": "2023.1=h_1", "typing_extensions": "4.1=p_0"},
    )
    assert "\nnumpy==1.26.4\ntyping-extensions==4.1\n" in text
    assert "# mine 0.1: installed from a folder" in text
    assert "\n# conda: mkl=2023.1=h_1\n# conda: numpy=1.26.4=py312h_0\n" in text


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://user:pass@host:8080/x", "https://host:8080/x"),
        ("https://ghp_token@host/x", "https://host/x"),
        ("https://${USER}:${PASS}@host/x", "https://${USER}:${PASS}@host/x"),
        ("https://git@host/x", "https://host/x"),
        ("ssh://git:pass@host/x", "ssh://host/x"),
        ("https://h/x?X-Amz-Signature=s&X-Amz-Credential=c&v=1#frag", "https://h/x?v=1"),
        ("https://h/x?sig=s&access_token=t&api_key=k", "https://h/x"),
        ("git@host:a/b", None),
        ("", None),
    ],
)
def test_addresses_lose_their_secrets(url: str, expected: str | None) -> None:
    assert public_address(url) == expected


@given(st.text(), st.sampled_from(["https://", "ssh://git@", "file://", "https://u:p@h/", ""]))
def test_any_address_is_one_line(text: str, scheme: str) -> None:
    found = line({"url": scheme + text, "vcs_info": GIT})
    assert found.startswith(("demo @ git+", "# demo 1.0: "))
    assert found.isprintable()
    assert not found.startswith("demo") or " " not in found.removeprefix("demo @ ")
