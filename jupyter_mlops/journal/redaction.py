"""The one place that every text passes before it is written: secrets are replaced there.

Three layers, in this order:

1. exact values: of environment variables whose names are those of secrets (as they are at the time
   of writing), of the notebook's variables that were added, of ``Secret`` objects, and of what the
   second layer has found before; also in base64 (both alphabets, at any alignment), hexadecimal,
   URL-quoted, and escaped as JSON, ``repr`` and HTML escape them;
2. forms: some thirty kinds of tokens and keys (``secret_patterns``);
3. names: values of secretly named keys, options, assignments and arguments (``secret_names``).

A secret is replaced by ``***[kind:hmac8]``: what it is called, and eight digits of an HMAC with
this user's signing key (RFC 2104), so that equal secrets can be recognised and none be guessed.

Best effort: a secret that is cut in pieces, encrypted or computed is not found.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import threading
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from ..model.secret import Secret, known_secrets
from .secret_names import is_secret_name, named_values
from .secret_patterns import pattern_values
from .signing import sign

__all__ = ["REDACTED", "Redactor", "default_redactor", "is_secret_name", "redact_text"]

# What stands in the place of a secret; its group is the secret's kind.
REDACTED = re.compile(r"\*\*\*\[([\w.-]{1,60}):[0-9a-f]{8}\]", re.ASCII)
_FAILED = "***[unreadable:00000000]"
_SHORTEST = 6  # characters of an exact value: a shorter one is in too many innocent places
_LONGEST = 64 * 1024  # characters of an exact value
_MOST = 64  # exact values that are remembered, each with its forms; the oldest are forgotten
_LONG_WORD = 14
_PARTS = 32 * 1024 * 1024  # characters; longer texts are not looked through at once
# Values that are no secrets under any name.
_COMMON = frozenset(
    {"true", "false", "none", "null", "undefined", "localhost", "127.0.0.1", "enabled", "disabled",
     "default", "password", "secret", "secrets", "token", "string", "username", "anonymous",
     "required", "optional", "unknown", "postgres", "mysql", "admin", "administrator", "root",
     "guest", "minioadmin", "airflow", "jupyter", "example", "changeme"}
)  # fmt: skip
# Named like secrets, and no secrets: the working folder.
_NOT_SECRET_VARIABLES = frozenset({"PWD", "OLDPWD"})
_ADDRESS_NAME = re.compile(r"(?i)(?:url|uri|dsn|proxy|conn(?:ection)?|broker|database)$")
# Where a secret is, and not what it is: see ``Secret.from_reference``.
_REFERENCE = re.compile(
    r"env:[A-Za-z_]\w*|file:[^\s\x00]+|keyring:[^\s/\x00]+/[^\s\x00]+", re.ASCII
)
_PASSWORD = re.compile(r"://[^\s:/@]*:([^\s/@]+)@")
# Parts of a record whose keys are names of columns, packages, files and measures.
_PLAIN_KEYS = frozenset(
    {"schema", "packages", "modules", "metrics", "series", "resources", "left_out", "hardware"}
)
# Fields by which records are found and read: no texts of the person.
_STRUCTURE = frozenset(
    {"type", "status", "kind", "session", "run_id", "parent", "seq", "cell_id", "kernel_id",
     "boot_id", "blob", "example_blob", "format", "example_format", "flavor", "signature",
     "digest", "environment", "adopted", "how", "git_commit", "notebook", "pipeline",
     "interpreter", "cwd", "host", "user", "python", "version"}
)  # fmt: skip
_RECORD_LISTS = frozenset({"models", "files", "inputs"})  # Fields with records in records.
_KIND = re.compile(r"[\w.-]{1,60}", re.ASCII)
_REMEMBERED, _MOST_REMEMBERED = 1000, 4000  # characters of a text, texts


class Redactor:
    """Replaces secrets in texts and records; safe to use from several threads."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._lock = threading.RLock()
        self._added: dict[str, str] = {}  # value -> kind, the oldest first
        self._sensitive: dict[str, bool | None] = {}
        self._fingerprint: tuple[Any, ...] | None = None
        self._exact: tuple[_Needle, ...] = ()
        self._encoded: tuple[_Needle, ...] = ()
        self._marks: dict[tuple[str, str], str] = {}
        # Texts without a secret, as far as is known now: an executed notebook is looked through at
        # every save, and most of it is what it was.
        self._clean: set[str] = set()

    def add(self, name: str, value: Any) -> None:
        """Know ``value`` as the secret ``name`` from now on, wherever it appears.

        Texts, bytes, ``Secret`` objects, and these in lists and dictionaries.  Texts of less than
        six characters, plain words and short numbers are not taken: they are everywhere.
        """
        with self._lock:
            for text in _texts(value):
                if _distinct(text):
                    self._learn(name, text)

    def redact_text(self, text: str) -> str:
        """Return ``text`` with its secrets replaced; the same object if there are none.

        Never raises: what cannot be looked through is replaced as a whole.
        """
        with self._lock:
            try:
                self._refresh()
                return self._text(text)
            except Exception:  # A secret must not get out because of a mistake of ours.
                return _FAILED

    def redact_record(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return a journal record with the secrets in all its texts replaced, keys included.

        The record is not changed.  Raises ``TypeError`` for keys that are not texts.
        """
        with self._lock:
            self._refresh()
            texts: list[str] = []
            if _gather(record, texts):
                # Most records have none: looking at all their texts at once is faster.
                whole = "\n".join(texts)
                if self._string(whole) is whole:
                    return dict(record)
            known = len(self._added)
            cleaned = self._record(record)
            if len(self._added) != known:
                # What a later field taught (a cell's source) may stand in an earlier one.
                self._refresh()
                cleaned = self._record(cleaned)
            return cleaned

    def redact_value(self, name: str, value: Any) -> Any:
        """Return ``value`` as it may be written under ``name``."""
        with self._lock:
            self._refresh()
            return self._value(name, value)

    def redact_notebook(self, notebook: Mapping[str, Any]) -> dict[str, Any]:
        """Return a notebook (its JSON) with secrets replaced; pictures in it are left alone.

        Sources and outputs may be lists of lines: they are looked at as one text.
        """
        with self._lock:
            self._refresh()
            for _ in range(2):  # The second time with what the first has learned.
                notebook = self._notebook(notebook)
                self._refresh()
            return dict(notebook)

    # From here on with the lock held.

    def _record(self, record: Mapping[str, Any]) -> dict[str, Any]:
        cleaned = {}
        for name, value in record.items():
            if name in _STRUCTURE:
                cleaned[name] = value
            elif name in _RECORD_LISTS and isinstance(value, (list, tuple)):
                cleaned[name] = [
                    self._record(item) if isinstance(item, Mapping) else self._value("", item)
                    for item in value
                ]
            else:
                cleaned[name] = self._value(name, value)
        return cleaned

    def _mapping(self, data: Mapping[str, Any], *, keyed: bool) -> dict[str, Any]:
        return {
            self._string(key): self._value(key, value, keyed=keyed) for key, value in data.items()
        }

    def _value(self, name: str, value: Any, *, keyed: bool = True) -> Any:
        if isinstance(value, (bool, int, float)) or value is None:
            if not keyed or value is None or isinstance(value, bool) or not _names_one(name):
                return value
            return value if "token" in name.lower() else self._mark(name, str(value))
        if keyed and _names_one(name):
            return self._named(name, value)
        if isinstance(value, str):
            return self._string(value)
        if isinstance(value, Mapping):
            return self._mapping(value, keyed=keyed and name not in _PLAIN_KEYS)
        if isinstance(value, (list, tuple)):
            if name in ("series", "points") and len(value) > 1000:
                return list(value)  # Numbers, with the name of a metric.
            return [self._value("", item, keyed=keyed) for item in value]
        return value if not isinstance(value, Secret) else repr(value)

    def _named(self, name: str, value: Any) -> Any:
        if isinstance(value, str):
            if not value.strip("*") or REDACTED.fullmatch(value) or _REFERENCE.fullmatch(value):
                return value
            if _distinct(value) and not any(map(str.isspace, value)):
                self._learn(name, value)
            return self._mark(name, value)
        for text in _texts(value):
            if _distinct(text):
                self._learn(name, text)
        return self._mark(name, json.dumps(value, sort_keys=True, default=repr))

    def _string(self, text: str) -> str:
        try:
            return self._text(text)
        except Exception:
            return _FAILED

    def _text(self, text: str) -> str:
        if len(text) < _SHORTEST or text in self._clean:
            return text
        if len(text) > _PARTS:
            return "".join(
                self._text(text[place : place + _PARTS]) for place in range(0, len(text), _PARTS)
            )
        for needle, kind, value in self._exact:
            if needle in text:
                text = text.replace(needle, self._mark(kind, value))
        words = ""
        if len(text) >= _LONG_WORD:
            words = " ".join([word for word in text.split() if len(word) >= _LONG_WORD])
            for needle, kind, value in self._encoded:
                if needle in words:
                    text = text.replace(needle, self._mark(kind, value))
        found = sorted(pattern_values(text, words))
        if found:
            text = self._replaced(text, found)
        named = list(named_values(text))
        if named:
            return self._replaced(text, named, learn=True)
        if len(text) <= _REMEMBERED and not found:
            if len(self._clean) >= _MOST_REMEMBERED:
                self._clean.clear()
            self._clean.add(text)
        return text

    def _replaced(
        self, text: str, found: Iterable[tuple[int, int, str]], *, learn: bool = False
    ) -> str:
        parts, done = [], 0
        for start, end, kind in found:
            value = text[start:end]
            if start < done or not value or REDACTED.search(value):
                continue
            if learn and _REFERENCE.fullmatch(value):
                continue
            if learn and _distinct(value) and not any(map(str.isspace, value)):
                self._learn(kind, value)
            parts += [text[done:start], self._mark(kind, value)]
            done = end
        return "".join([*parts, text[done:]])

    def _mark(self, kind: str, value: str) -> str:
        key = (kind, value)
        mark = self._marks.get(key)
        if mark is None:
            if len(self._marks) > 4 * _MOST:
                self._marks.clear()
            shown = kind if _KIND.fullmatch(kind) else "secret"  # A key may be any text.
            mark = self._marks[key] = f"***[{shown}:{_digest(value)}]"
        return mark

    def _learn(self, name: str, value: str) -> None:
        if value not in self._added:
            self._added[value] = name
            while len(self._added) > _MOST:
                del self._added[next(iter(self._added))]
            self._fingerprint = None
            self._clean.clear()

    def _refresh(self) -> None:
        """Look at the environment and at the ``Secret`` objects again."""
        sensitive = self._sensitive
        names = []
        for name in self._environ:
            if name not in sensitive:
                secret = is_secret_name(name) and name not in _NOT_SECRET_VARIABLES
                # None: an address, in which there may be a password.
                sensitive[name] = secret or (None if _ADDRESS_NAME.search(name) else False)
            if sensitive[name] is not False:
                names.append(name)
        values = tuple((name, self._environ.get(name, "")) for name in names)
        known = known_secrets()
        fingerprint = (values, known)
        if fingerprint == self._fingerprint:
            return
        kinds: dict[str, str] = {}
        for value in known:
            if len(value) >= _SHORTEST:
                kinds[value] = "secret"
        kinds |= self._added
        for name, value in values:
            password = _PASSWORD.search(value)
            if password is not None and _is_exact(password.group(1)):
                kinds[password.group(1)] = name
            if sensitive[name] and _is_exact(value):
                kinds[value] = name
        self._exact, self._encoded = _needles(kinds)
        self._fingerprint = fingerprint
        self._clean.clear()

    def _notebook(self, data: Any, name: str = "") -> Any:
        if isinstance(data, str):
            return self._named(name, data) if is_secret_name(name) else self._string(data)
        if isinstance(data, Mapping):
            return {
                key: value if _is_picture(key) else self._notebook(value, key)
                for key, value in data.items()
            }
        if isinstance(data, list):
            if data and all(isinstance(item, str) for item in data):
                if not all(item.endswith("\n") for item in data[:-1]):
                    return [self._string(item) for item in data]
                whole = "".join(data)
                cleaned = self._string(whole)
                return data if cleaned == whole else cleaned.splitlines(keepends=True)
            return [self._notebook(item) for item in data]
        return self._value(name, data)


def _gather(value: Any, texts: list[str], *, record: bool = True, keyed: bool = True) -> bool:
    """Add all texts of a record to ``texts``; false if one of its keys is that of a secret."""
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if record and name in _STRUCTURE:
                continue
            if not record:
                texts.append(name)
            if item is None or (type(item) is float and not keyed):
                continue
            if keyed and is_secret_name(name):
                return False
            nested = record and name in _RECORD_LISTS and isinstance(item, (list, tuple))
            if not _gather(item, texts, record=nested, keyed=keyed and name not in _PLAIN_KEYS):
                return False
    elif isinstance(value, (list, tuple)):
        for item in value:
            if type(item) is float or type(item) is int:
                continue
            if not _gather(item, texts, record=record, keyed=keyed):
                return False
    elif isinstance(value, Secret):
        return False
    return True


_Needle = tuple[str, str, str]  # what to look for, its kind, the secret itself


def _names_one(name: str) -> bool:
    """Whether a key says that its value is a secret; a mark that stands for a key says nothing."""
    return is_secret_name(name) and REDACTED.search(name) is None


def _needles(kinds: Mapping[str, str]) -> tuple[tuple[_Needle, ...], tuple[_Needle, ...]]:
    """What to look for: the values as they stand in texts, and their encoded forms."""
    exact: dict[str, tuple[str, str]] = {}
    encoded: dict[str, tuple[str, str]] = {}
    for value, kind in kinds.items():
        for form in _written(value):
            exact.setdefault(form, (kind, value))
        for form in _encodings(value):
            (encoded if len(form) >= _LONG_WORD else exact).setdefault(form, (kind, value))
    return tuple(
        tuple((form, *forms[form]) for form in sorted(forms, key=len, reverse=True))
        for forms in (exact, encoded)
    )  # type: ignore[return-value]


def _written(value: str) -> set[str]:
    """A value as it is and as it is escaped."""
    escaped = json.dumps(value)[1:-1]
    return {
        value,
        escaped,
        json.dumps(value, ensure_ascii=False)[1:-1],
        json.dumps(escaped)[1:-1],
        repr(value)[1:-1],
        quote(value, safe="", errors="surrogatepass"),
        quote(value, errors="surrogatepass"),
        quote_plus(value, errors="surrogatepass"),
        value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
        value.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace('"', "&quot;"),
    }


def _encodings(value: str) -> set[str]:
    """A value in base64, wherever it begins in what was encoded, and in hexadecimal."""
    data = value.encode("utf-8", "surrogatepass")
    forms = {data.hex(), data.hex().upper()}
    for lead in range(3):
        # The characters that depend on the value alone: not those shared with its neighbours.
        whole = base64.b64encode(b"\0" * lead + data + b"\0" * ((-lead - len(data)) % 3))
        first = (lead * 8 + 5) // 6
        last = (lead + len(data)) * 8 // 6
        core = whole[first:last].decode("ascii")
        if len(core) >= _SHORTEST:
            forms |= {core, core.replace("+", "-").replace("/", "_")}
    return {form for form in forms if len(form) >= _SHORTEST + 1}


def _is_exact(value: str) -> bool:
    """Whether the value of a sensitively named variable is looked for everywhere."""
    if not _SHORTEST <= len(value) <= _LONGEST or value.lower() in _COMMON:
        return False
    if value.isdigit() and len(value) < 8:
        return False
    # The place of a secret: GOOGLE_APPLICATION_CREDENTIALS=/path/key.json.
    return not (value[0] in "/~.\\" or value[1:3] == ":\\") or not _exists(value)


def _exists(path: str) -> bool:
    try:
        return os.path.exists(os.path.expanduser(path))
    except (OSError, ValueError):
        return False


def _distinct(value: str) -> bool:
    """Whether a value found under a secret's name is so distinct that it may be looked for."""
    if not _is_exact(value) or REDACTED.search(value):
        return False
    if value.isalpha():
        return len(value) >= 16 or not (value.islower() or value.istitle() or value.isupper())
    return any(map(str.isalpha, value)) or len(value) >= 8


def _texts(value: Any, depth: int = 0) -> list[str]:
    if isinstance(value, Secret):
        return [value.reveal()]
    if isinstance(value, str):
        return [str(value)]
    if isinstance(value, (bytes, bytearray)):
        return [bytes(value).decode("utf-8", "replace")]
    if depth < 3 and isinstance(value, Mapping):
        return [text for item in list(value.values())[:100] for text in _texts(item, depth + 1)]
    if depth < 3 and isinstance(value, (list, tuple, set, frozenset)):
        return [text for item in list(value)[:100] for text in _texts(item, depth + 1)]
    return []


def _is_picture(key: str) -> bool:
    """Whether a notebook's output of this type is bytes in base64."""
    return key.startswith(("image/p", "image/j", "image/g", "image/w", "audio/", "video/")) or (
        key == "application/pdf"
    )


_fallback_key = secrets.token_bytes(32)


def _digest(value: str) -> str:
    data = b"redacted\0" + value.encode("utf-8", "surrogatepass")
    try:
        return sign(data)[:8]
    except OSError:  # No key can be made: equal within this process alone.
        import hmac

        return hmac.new(_fallback_key, data, "blake2b").hexdigest()[:8]


_default: Redactor | None = None
_default_lock = threading.Lock()


def default_redactor() -> Redactor:
    """The redactor of this process: what one writer has learned, all the others know."""
    global _default
    with _default_lock:
        if _default is None:
            _default = Redactor()
        return _default


def redact_text(text: str) -> str:
    """``default_redactor().redact_text(text)``."""
    return default_redactor().redact_text(text)
