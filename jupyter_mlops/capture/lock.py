"""A requirements text that rebuilds an environment: ``uv pip install -r`` accepts each line.

What only this machine has (a folder, a file) is a comment: a line that names it would fail anywhere
else, and would tell others what the folders here are called.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from .distributions import Distribution, is_version, normal_name
from .redact import is_secret_name

__all__ = ["lock_text", "public_address"]

_VARIABLE = re.compile(r"\$\{[A-Za-z0-9_-]+\}(?::\$\{[A-Za-z0-9_-]+\})?")
_SIGNED = re.compile(r"(?:^|[-_])(?:sig|signature|token|credential|auth|key|se|sp|sv)$", re.I)
_HOST = re.compile(r"[\w.\[\]:-]*", re.ASCII)
_COMMIT = re.compile(r"[0-9A-Za-z._/-]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def lock_text(
    distributions: Iterable[Distribution],
    *,
    python: str,
    platform: str,
    conda: Mapping[str, str] | None = None,
) -> str:
    """Return the text, one distribution a line in the order given.

    ``conda`` maps packages of a conda environment to ``VERSION=BUILD``; they are comments at the
    end.
    """
    conda = conda or {}
    built = {normal_name(name): of.partition("=")[0] for name, of in conda.items()}
    lines = [f"# Python {python}", f"# {platform}", "# uv pip install -r THIS_FILE"]
    for distribution in distributions:
        # Packages that conda built name a folder of the machine that built them.
        from_conda = built.get(distribution.name) == distribution.version
        lines.append(_line(distribution, from_conda=from_conda))
    if conda:
        lines += ["#", "# The conda packages of that environment:"]
        lines += [f"# conda: {name}={conda[name]}" for name in sorted(conda)]
    return "\n".join(lines) + "\n"


def public_address(url: str) -> str | None:
    """``url`` without user, password and signed or secret parameters; ``None`` if it is no URL.

    Kept are the ``git@`` of ssh and references to environment variables, as in PEP 610.
    """
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        user = parts.netloc.rpartition("@")[0]
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return None
    if not parts.scheme or not (host or parts.scheme == "file") or not url.isprintable():
        return None
    if not _HOST.fullmatch(host):
        return None
    if (user == "git" and "ssh" in parts.scheme) or _VARIABLE.fullmatch(user):
        host = f"{user}@{host}"
    kept = [(k, v) for k, v in query if not is_secret_name(k) and not _SIGNED.search(k)]
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~${}")
    return urlunsplit((parts.scheme, host, path, urlencode(kept), ""))


def _line(distribution: Distribution, *, from_conda: bool) -> str:
    name, version, origin = distribution.name, distribution.version, distribution.origin
    if distribution.checkout:
        return f"# {name} {version}: a folder of that machine, on its path"
    if origin is not None and not from_conda:
        return _direct(name, version, origin)
    if not is_version(version):
        return f"# {name} {version}: not a version that can be asked for"
    return f"{name}=={version}"


def _direct(name: str, version: str, origin: Mapping[str, Any]) -> str:
    """A distribution that did not come from an index (PEP 610)."""
    address = public_address(origin["url"])
    if address is None:
        return f"# {name} {version}: installed from an address that cannot be read"
    if address.startswith("file:"):
        folder = origin.get("dir_info")
        if isinstance(folder, dict):
            how = ", editable (-e)" if folder.get("editable") is True else ""
            return f"# {name} {version}: installed from a folder of that machine{how}"
        return f"# {name} {version}: installed from a file or repository of that machine"
    source, fragment = origin.get("vcs_info"), ""
    if isinstance(source, dict):
        commit = source.get("commit_id")
        if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
            return f"# {name} {version}: {address}, at an unknown commit"
        if source.get("vcs") != "git":
            return f"# {name} {version}: {address} at {commit}, which is not in git"
        address = f"git+{address.removeprefix('git+')}@{commit}"
    else:
        digest = _sha256(origin)
        fragment = f"#sha256={digest}" if digest else ""
    below = origin.get("subdirectory")
    if isinstance(below, str) and below.isprintable():
        fragment = f"#subdirectory={quote(below)}"
    return f"{name} @ {address}{fragment}"


def _sha256(origin: Mapping[str, Any]) -> str | None:
    archive = origin.get("archive_info")
    if not isinstance(archive, dict):
        return None
    hashes = archive.get("hashes")
    digest = hashes.get("sha256") if isinstance(hashes, dict) else None
    if digest is None and isinstance(archive.get("hash"), str):
        kind, _, digest = archive["hash"].partition("=")
        digest = digest if kind == "sha256" else None
    return digest if isinstance(digest, str) and _SHA256.fullmatch(digest) else None
