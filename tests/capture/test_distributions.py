from __future__ import annotations

import importlib.metadata
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from jupyter_mlops.capture.distributions import (
    DistributionFolders,
    is_version,
    normal_name,
    read_folder_name,
)

NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._]{0,8}[A-Za-z0-9])?", fullmatch=True)
PARTS = ["1", "0", "23", ".", ".", "!", "a", "rc", "post", "dev", "+", "-", "_", "v", "alpha", "x"]
VERSIONS = st.builds(
    "".join,
    st.tuples(
        st.from_regex(r"(1!)?[0-9]{1,4}(\.[0-9]{1,3}){0,3}", fullmatch=True),
        st.sampled_from(["", "a1", "-beta.2", "rc0"]),
        st.sampled_from(["", ".post3", "-4", "_rev5"]),
        st.sampled_from(["", ".dev0", "dev"]),
        st.sampled_from(["", "+cu121", "+ubuntu-1.a_2"]),
    ),
)


def install(folder: Path, name: str, *, origin: object = None, metadata: str | None = None) -> None:
    (folder / name).mkdir(parents=True)
    if origin is not None:
        text = origin if isinstance(origin, str) else json.dumps(origin)
        (folder / name / "direct_url.json").write_text(text)
    if metadata is not None:
        (folder / name / "METADATA").write_text(metadata)


def read(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> dict[str, Any]:
    monkeypatch.setattr(sys, "path", [str(folder) for folder in folders])
    found = DistributionFolders()
    return found.read(found.stamp())


@given(st.lists(st.sampled_from(PARTS), max_size=8).map("".join))
@example("1.0.post")
@example("1a.")
@example("1.dev_")
@example("1!2.0rc1.post2.dev3+ubuntu.1")
def test_versions_are_those_of_pep_440(text: str) -> None:
    try:
        Version(text)
        valid = True
    except InvalidVersion:
        valid = False
    assert is_version(text) == valid


@given(NAMES, VERSIONS)
def test_names_of_folders(name: str, version: str) -> None:
    # As the format says: `-` is written as `_`; a normal version has neither.
    normal = str(Version(version))
    folder = f"{re.sub(r'[-_.]+', '_', name)}-{normal}.dist-info"
    assert read_folder_name(folder) == (canonicalize_name(name), normal)
    assert normal_name(name) == canonicalize_name(name)


@given(st.text(max_size=30))
def test_any_other_name_is_no_error(text: str) -> None:
    found = read_folder_name(f"{text}.dist-info")
    assert found is None or (found[0] == normal_name(found[0]) and is_version(found[1]))


@pytest.mark.parametrize(
    "folder",
    ["~umpy-1.0.dist-info", "a-b-1.0.dist-info", "a-1.0-1.dist-info", "a-1.0_1.dist-info",
     "a-.dist-info", "-1.0.dist-info", "a.dist-info", "a-latest.dist-info", "a-1.0.egg-info"],
)  # fmt: skip
def test_folders_whose_name_is_not_enough(folder: str) -> None:
    assert read_folder_name(folder) is None


def test_this_environment_as_importlib_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    site = [Path(p) for p in sys.path if p.endswith("site-packages")]
    expected = {
        canonicalize_name(d.metadata["Name"]): d.version
        for d in importlib.metadata.distributions(path=[str(p) for p in site])
    }
    found = read(monkeypatch, *site)
    assert {d.name: d.version for d in found.values()} == expected
    assert list(found) == sorted(found)


def test_metadata_is_read_where_the_name_says_too_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(
        tmp_path,
        "old-name-1.0.dist-info",
        metadata="Metadata-Version: 2.1\nName: old-name\nVersion: 1.0\n\nName: x",
    )
    install(tmp_path, "local-1.0_1.dist-info", metadata="Name: Local\nVersion: 1.0-1\n")
    install(tmp_path, "~half-1.0.dist-info", metadata="nothing\n")
    install(tmp_path, "lost-1.0_1.dist-info")
    found = read(monkeypatch, tmp_path)
    assert {d.name: d.version for d in found.values()} == {"old-name": "1.0", "local": "1.0-1"}


def test_the_first_folder_wins_but_a_checkout_never(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout, first, second = tmp_path / "project", tmp_path / "a", tmp_path / "b"
    install(checkout, "mine.egg-info")
    (checkout / "mine.egg-info" / "PKG-INFO").write_text("Name: mine\nVersion: 0.1\n")
    install(checkout, "alone.egg-info")
    (checkout / "alone.egg-info" / "PKG-INFO").write_text("Name: alone\nVersion: 0.2\n")
    install(first, "mine-0.3.dist-info", origin={"url": "file:///somewhere", "dir_info": {}})
    install(first, "both-1.0.dist-info")
    install(second, "both-2.0.dist-info")
    (second / "system-3.0-py3.11.egg-info").write_text("Name: system\nVersion: 3.0\n")
    found = read(monkeypatch, checkout, first, second, tmp_path / "missing")
    assert {d.name: d.version for d in found.values()} == {
        "alone": "0.2", "both": "1.0", "mine": "0.3", "system": "3.0",
    }  # fmt: skip
    assert found["mine"].origin == {"url": "file:///somewhere", "dir_info": {}}
    assert found["alone"].checkout


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"url": 3}', "{" * 100_000, "\x00"])
def test_an_origin_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    install(tmp_path, "a-1.0.dist-info", origin=text)
    assert read(monkeypatch, tmp_path)["a"].origin is None


def test_only_a_changed_folder_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "a", "one-1.0.dist-info")
    install(tmp_path / "b", "two-1.0.dist-info")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "a"), str(tmp_path / "b")])
    folders = DistributionFolders()
    assert list(folders.read(folders.stamp())) == ["one", "two"]
    listed = []
    real = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: (listed.append(path), real(path))[1])
    install(tmp_path / "b", "three-1.0.dist-info")
    os.utime(tmp_path / "b", ns=(1, 1))
    assert list(folders.read(folders.stamp())) == ["one", "three", "two"]
    assert listed == [str(tmp_path / "b")]


def test_what_else_stands_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK")
    monkeypatch.chdir(tmp_path)
    install(tmp_path, "here-1.0.dist-info")
    monkeypatch.setattr(sys, "path", ["", str(tmp_path / "x.zip"), "\x00", None, tmp_path])
    folders = DistributionFolders()
    assert list(folders.read(folders.stamp())) == ["here"]
