"""Manifests: what one version is made of, as canonical JSON under its BLAKE3.

A file ``manifests/<address>`` is::

    MLMANI1\\n                 8 bytes
    length of the JSON         u64, little-endian
    the JSON, compressed       one zstd frame
    BLAKE3 of all before       32 bytes

and its address the BLAKE3 of the JSON: keys sorted, no spaces, ASCII only, no NaN.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from blake3 import blake3

from ..errors import CorruptError, UsageError
from .chunks import ChunkId, decode_chunk

__all__ = ["Manifest", "canonical", "is_address", "pack_manifest", "unpack_manifest"]

_MAGIC = b"MLMANI1\n"
_NOT_PART = ("address", "plain")
_ADDRESS = re.compile(r"[0-9a-f]{64}")
_encode = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
).encode


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a version is made of.

    ``object`` is the tree of what was snapshotted, with chunk ids in it; ``digest`` that of the
    object; ``parent`` the address of the version before it; ``stats`` describe its columns;
    ``created`` is in seconds since the epoch; ``chunks`` are all chunks that it needs.
    """

    object: dict[str, Any]
    digest: str
    name: str | None = None
    parent: str | None = None
    stats: dict[str, Any] = field(default_factory=dict)
    created: float = 0.0
    chunks: list[ChunkId] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)
    format: int = 1
    # Not part of it: where it was read, and what.
    address: str | None = field(default=None, compare=False)
    plain: bytes | None = field(default=None, compare=False, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON."""
        return {name: getattr(self, name) for name in self.__slots__ if name not in _NOT_PART}

    def encode(self) -> bytes:
        """The canonical JSON, of which the BLAKE3 is the manifest's address.

        Raises ``UsageError`` when something in it is not JSON.
        """
        return canonical(self.to_dict(), "the manifest")

    def encode_as(self, other: Manifest) -> bytes:
        """The same as ``encode`` where object and chunks are those of ``other``, as it was read."""
        plain = other.plain
        if plain is None or self.object is not other.object or self.chunks is not other.chunks:
            return self.encode()
        middle, last = other._about()
        start = plain.find(b"]") + 1  # The end of the ids.
        begin, end = start + len(middle), len(plain) - len(last)
        if plain[start:begin] != middle or plain[end:] != last:
            return self.encode()
        now, then = self._about()
        return b"".join([plain[:start], now, plain[begin:end], then])

    def _about(self) -> tuple[bytes, bytes]:
        """What stands in the JSON between ``chunks`` and ``object``, and after that."""
        names = ("created", "digest", "format", "meta", "name")
        middle = canonical({name: getattr(self, name) for name in names}, "the manifest")
        last = canonical({"parent": self.parent, "stats": self.stats}, "the manifest")
        return b"," + middle[1:-1] + b',"object":', b"," + last[1:]

    @staticmethod
    def from_json(data: bytes, label: str = "manifest") -> Manifest:
        """Return the manifest; ``CorruptError`` when the JSON is not one."""
        try:
            raw = json.loads(data)
            if raw["format"] != 1:
                raise CorruptError(
                    f"{label} has format {raw['format']!r}; this version reads format 1",
                    hint="Upgrade this environment: pip install --upgrade jupyter-mlops",
                )
            if not raw.keys().isdisjoint(_NOT_PART):
                raise ValueError("it has a key too many")
            manifest = Manifest(**raw)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            if isinstance(error, CorruptError):
                raise
            raise CorruptError(f"{label} is not one: {error}") from error
        if not (
            isinstance(manifest.object, dict)
            and isinstance(manifest.digest, str)
            and isinstance(manifest.stats, dict)
            and isinstance(manifest.meta, dict)
            and isinstance(manifest.chunks, list)
            and all(is_address(id) for id in manifest.chunks)
        ):
            raise CorruptError(f"{label} is not one: a field has another type")
        return manifest


def canonical(value: Mapping[str, Any], what: str) -> bytes:
    """JSON with sorted keys, no spaces, ASCII only; ``UsageError`` for what is not JSON."""
    try:
        return _encode(value).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"{what} holds something that is not JSON: {error}") from error


def is_address(text: object) -> bool:
    """Whether ``text`` is 64 hex digits in lower case."""
    return isinstance(text, str) and _ADDRESS.fullmatch(text) is not None


def pack_manifest(plain: bytes) -> tuple[str, bytes]:
    """Return ``(address, bytes of the file)`` of a manifest's canonical JSON."""
    from numcodecs import zstd

    body = _MAGIC + len(plain).to_bytes(8, "little") + bytes(zstd.compress(plain, 3))
    return blake3(plain).hexdigest(), body + blake3(body).digest()


def unpack_manifest(data: bytes, address: str, label: str) -> Manifest:
    """Return the manifest in the bytes of its file.

    Raises ``CorruptError`` when they are not as written or not what ``address`` names.
    """
    return Manifest.from_json(manifest_json(data, address, label), label)


def manifest_json(data: bytes, address: str, label: str) -> bytes:
    """Return the canonical JSON in the bytes of a manifest's file, checked against ``address``."""
    if len(data) < 48 or data[:8] != _MAGIC or blake3(data[:-32]).digest() != data[-32:]:
        raise CorruptError(f"{label} does not match its checksum")
    size = int.from_bytes(data[8:16], "little")
    plain = decode_chunk("zstd", data[16:-32], size)
    if blake3(plain).hexdigest() != address:
        raise CorruptError(f"{label} does not match its address")
    return plain


def read_manifest(path: Path, address: str) -> Manifest:
    """Return the manifest at ``path``; ``CorruptError``, or ``FileNotFoundError``."""
    label = f"manifest {address[:12]}"
    plain = manifest_json(path.read_bytes(), address, label)
    return replace(Manifest.from_json(plain, label), address=address, plain=plain)
