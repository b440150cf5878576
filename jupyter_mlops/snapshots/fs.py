"""``snapshot://name@version`` for whoever opens files with fsspec: read-only.

A frame, series or table is a Parquet file, with ``.csv`` after the version a CSV file; an array an
``.npy`` file; a stored file is itself, and a stored folder a folder.  So
``pd.read_parquet("snapshot://customers@3")`` works, and so does
``pd.read_csv("snapshot://customers@3.csv")``.
``storage_options={"project": folder}`` names another project than the current folder's.
"""

from __future__ import annotations

import io
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem

from ..errors import MlopsError, NotFoundError, UsageError
from ..project import open_project
from .diff_stored import is_table
from .encoding import decode
from .exporting import write_value
from .locating import locate
from .refs import Version
from .service import existing_store
from .stored_files import StoredFiles

__all__ = ["SnapshotFileSystem"]

_KEPT = 4
_KEPT_BYTES = 256 * 1000 * 1000


class SnapshotFileSystem(AbstractFileSystem):  # type: ignore[misc,unused-ignore]
    """The snapshots of a project as files.  ``trust`` is as for ``jupyter_mlops.load``."""

    protocol = "snapshot"
    cachable = False  # The current folder, and so the project, may be another one next time.
    root_marker = ""

    def __init__(
        self, project: str | Path | None = None, trust: bool = False, **options: Any
    ) -> None:
        super().__init__(**options)
        self._project = open_project(project, create=False)
        self._trust = trust
        self._made: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(item) for item in path]
        return str(path).removeprefix("snapshot://").strip("/")

    def ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
        """The names of all snapshots, or the files of a stored folder."""
        path = self._strip_protocol(path)
        if not path:
            specs = [version.spec for version in self._store().versions()]
            return [self.info(spec) for spec in specs] if detail else specs
        version, inside, _ = self._find(path)
        files = self._files(version)
        if files is None or (not inside and version.kind == "file"):
            return [self.info(path)] if detail else [path]
        prefix = f"{inside}/" if inside else ""
        names = {
            name[len(prefix) :].partition("/")[0]
            for name in files.names()
            if name.startswith(prefix)
        }
        if not names and inside:
            return [self.info(path)] if detail else [path]
        base = path.rstrip("/")
        full = [f"{base}/{name}" for name in sorted(names)]
        return [self.info(name) for name in full] if detail else full

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        """``name``, ``size`` and ``type``, with the version and its digest."""
        path = self._strip_protocol(path)
        if not path:
            return {"name": "", "size": 0, "type": "directory"}
        version, inside, kind = self._find(path)
        about = {"name": path, "version": version.spec, "digest": version.digest}
        files = self._files(version)
        if files is not None and version.kind == "folder":
            sizes = _sizes(self._tree(version))
            if inside in sizes:
                return about | {"size": sizes[inside], "type": "file"}
            if not inside or any(name.startswith(f"{inside}/") for name in files.names()):
                return about | {"size": 0, "type": "directory"}
            raise FileNotFoundError(f"snapshot://{path}")
        return about | {"size": len(self._bytes(version, inside, kind)), "type": "file"}

    def _open(self, path: str, mode: str = "rb", *arguments: Any, **options: Any) -> io.BytesIO:
        if mode not in ("rb", "r"):
            raise UsageError(
                f"snapshot://{path} cannot be written: a version never changes",
                hint="Take a new one: jupyter_mlops.snapshot(value, name).",
            )
        version, inside, kind = self._find(self._strip_protocol(path))
        return io.BytesIO(self._bytes(version, inside, kind))

    def created(self, path: str) -> float:
        """When the version was made, in seconds since the epoch."""
        return self._find(self._strip_protocol(path))[0].created

    def ukey(self, path: str) -> str:
        """What changes with the content."""
        version, inside, kind = self._find(self._strip_protocol(path))
        return f"{version.digest}/{inside}/{kind}"

    def _find(self, path: str) -> tuple[Version, str, str | None]:
        """The version, the path within it, and the format that its ending asks for."""
        try:
            found = locate(self._store(), path)
        except (NotFoundError, UsageError) as error:
            raise FileNotFoundError(_said(error)) from error
        return found.version, found.inside, found.format

    def _store(self) -> Any:
        try:
            return existing_store(self._project)
        except NotFoundError as error:
            raise FileNotFoundError(_said(error)) from error

    def _tree(self, version: Version) -> dict[str, Any]:
        tree: dict[str, Any] = self._store().manifest(version.manifest).object
        return tree

    def _files(self, version: Version) -> StoredFiles | None:
        if version.kind not in ("file", "folder"):
            return None
        return StoredFiles(self._tree(version), self._store().read)

    def _bytes(self, version: Version, inside: str, kind: str | None) -> bytes:
        """The file's bytes, made once and kept for the next who asks."""
        key = (version.manifest, f"{inside}.{kind}")
        known = self._made.get(key)
        if known is not None:
            self._made.move_to_end(key)
            return known
        made = self._make(version, inside, kind)
        self._made[key] = made
        while len(self._made) > 1 and (
            len(self._made) > _KEPT or sum(map(len, self._made.values())) > _KEPT_BYTES
        ):
            self._made.popitem(last=False)
        return made

    def _make(self, version: Version, inside: str, kind: str | None) -> bytes:
        files = self._files(version)
        if files is not None:
            if version.kind == "file" and not inside:
                return files.read()
            if inside not in _sizes(self._tree(version)):
                raise FileNotFoundError(f"snapshot://{version.spec}/{inside}")
            return files.read(inside)
        if inside:
            raise FileNotFoundError(f"{version.spec} is not a folder: it has no {inside!r}")
        tree = self._tree(version)
        value = decode(tree, self._store().read, trust=self._trust)
        chosen = kind or ("npy" if tree["kind"] == "array" else "parquet")
        if chosen != "npy" and not is_table(tree):
            raise UsageError(
                f"snapshot://{version.spec} holds a {version.kind}, which is not a table",
                hint=f"jupyter_mlops.load({version.spec!r}) returns it.",
            )
        with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
            path = Path(folder) / f"value.{chosen}"
            write_value(value, path, chosen)
            return path.read_bytes()


def _sizes(tree: dict[str, Any]) -> dict[str, int]:
    """The files of a folder and their sizes."""
    return {
        "/".join(part if isinstance(part, str) else part["hex"] for part in entry["path"]):
        int(entry["size"])
        for entry in tree["entries"]
        if entry["type"] == "file"
    }  # fmt: skip


def _said(error: MlopsError) -> str:
    return f"{error.message}. {error.hint}" if error.hint else error.message
