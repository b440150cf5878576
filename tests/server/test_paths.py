"""Contents paths stay below the server's root folder, in every spelling."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.errors import UsageError
from jupyter_mlops.project import open_project
from jupyter_mlops.server.paths import contents_path, display_path, find_projects, local_path

CLIMBING = [
    "../x",
    "..",
    "a/../../x",
    "a/..",
    "..%2fx",
    "%2e%2e/x",
    "%252e%252e%252f",
    "%25252e%25252e/x",
    "..\\x",
    "a\\..\\..\\x",
    "..%5cx",
    "/etc/passwd",
    "//etc/passwd",
    "%2fetc%2fpasswd",
    "\\\\host\\share",
    "nul\0byte",
    "nul%00byte",
    "x" * 5000,
    "../snap-secret/f",
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """``d/snap`` beside ``d/snap-secret``, which begins with the same letters."""
    (tmp_path / "d" / "snap-secret").mkdir(parents=True)
    (tmp_path / "d" / "snap-secret" / "f").write_text("secret")
    folder = tmp_path / "d" / "snap"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("path", CLIMBING)
def test_a_path_that_leads_out_is_refused(root: Path, path: str) -> None:
    (root / "a").mkdir()
    with pytest.raises(UsageError, match="'path'") as refused:
        local_path(root, path)
    assert refused.value.fields["field"] == "path"


def test_links_that_lead_out_are_refused(root: Path) -> None:
    (root / "to-file").symlink_to(root.parent / "snap-secret" / "f")
    (root / "to-folder").symlink_to(root.parent / "snap-secret")
    (root / "loop").symlink_to(root / "loop")
    for path in ("to-file", "to-folder", "to-folder/f", "to-folder/new.ipynb"):
        with pytest.raises(UsageError):
            local_path(root, path)
    (root / "inside").mkdir()
    (root / "to-inside").symlink_to(root / "inside")
    assert local_path(root, "to-inside/nb.ipynb") == root / "inside" / "nb.ipynb"


@pytest.mark.parametrize(
    "path",
    ["", "nb.ipynb", "a/b/nb.ipynb", "with space/ü.ipynb", "100%.ipynb", "a..b/..c", "a%20b"],
)
def test_a_path_inside_is_what_it_says(root: Path, path: str) -> None:
    found = local_path(root, path)
    assert found == root / path
    assert contents_path(root, found) == path


def test_the_root_folder_may_itself_be_a_link(root: Path) -> None:
    link = root.parent / "link"
    link.symlink_to(root)
    assert local_path(link, "a/b") == root / "a" / "b"
    assert contents_path(link, root / "a") == "a"
    assert contents_path(link, root.parent / "snap-secret") is None


@given(st.text(max_size=60))
def test_no_text_leads_out(text: str) -> None:
    root = Path(os.sep) / "srv" / "snap"
    try:
        found = local_path(root, text)
    except UsageError:
        return
    assert found.is_relative_to(root)


def test_people_read_their_home_as_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert display_path(Path("/home/ada/trips/taxi")) == "~/trips/taxi"
    assert display_path(Path("/home/ada")) == "~"
    assert display_path(Path("/srv/taxi")) == "/srv/taxi"


def test_projects_are_found_where_people_keep_them(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("one", "deep/er/two", ".hidden/three", "node_modules/four", "venv/five"):
        folder = root / name
        folder.mkdir(parents=True)
        (folder / "pyproject.toml").write_text("")
        open_project(folder)
    (root / "venv" / "pyvenv.cfg").write_text("")
    (root / "empty" / ".mlops").mkdir(parents=True)  # made by nobody: no project
    (root / "link").symlink_to(root / "one")
    (root / "loop").symlink_to(root)
    found = find_projects(root, depth=4, limit=10)
    assert [project.name for project in found] == ["one", "two"]
    assert [p.name for p in find_projects(root, depth=1, limit=10)] == ["one"]
    assert len(find_projects(root, depth=4, limit=1)) == 1
    # The server may have been started inside a project.
    inside = root / "one" / "notebooks"
    inside.mkdir()
    assert [p.name for p in find_projects(inside, depth=4, limit=10)] == ["one"]


def test_a_home_folder_can_hold_projects_and_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "pyproject.toml").write_text("")
    open_project(tmp_path / "work")
    assert [p.name for p in find_projects(tmp_path, depth=2, limit=10)] == ["work"]
