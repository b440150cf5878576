"""A value that does not show itself: ``Secret``."""

from __future__ import annotations

import hmac
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, NoReturn

from ..errors import UsageError

__all__ = ["Secret", "known_secrets"]

_MOST = 64
_known: dict[str, None] = {}  # the values of all Secrets of this process, the oldest first
_snapshot: tuple[str, ...] = ()


class Secret:
    """A text that is never shown, formatted, serialised or written: only ``reveal()`` gives it.

    It is no ``str``, so nothing can take it for one: joining it to a text and passing it where a
    text is wanted raise ``TypeError`` instead of letting it out.  Its value is replaced in
    everything that this package writes, if it has six characters or more.

    Two secrets are equal if their values are (compared in constant time); a secret never equals a
    text.  ``Secret.from_env("NAME")`` is pickled as the name of its variable; any other refuses.
    """

    __slots__ = ("__weakref__", "_get", "_reference", "_variable")
    _get: Callable[[], str]
    _variable: str | None
    _reference: str | None

    def __init__(self, value: str | bytes | Secret) -> None:
        """Raises ``UsageError`` for anything but a text, and for an empty one."""
        if isinstance(value, Secret):
            value = value.reveal()
        if isinstance(value, bytes):
            value = value.decode("utf-8")
        if not isinstance(value, str) or not value:
            kind = "an empty text" if isinstance(value, str) else type(value).__name__
            raise UsageError(
                f"a Secret is made from a text, not from {kind}",
                hint="Secret.from_env('NAME') takes it from the environment.",
            )
        text = str(value)
        # A closure: tools that show an object's attributes (and vars()) find a function there.
        object.__setattr__(self, "_get", lambda: text)
        object.__setattr__(self, "_variable", None)
        object.__setattr__(self, "_reference", None)
        _register(text)

    @classmethod
    def from_env(cls, name: str) -> Secret:
        """The value of an environment variable.

        Raises ``UsageError`` that names the variable when it is not set or empty.
        """
        value = os.environ.get(name)
        if not value:
            state = "is not set" if value is None else "is empty"
            raise UsageError(
                f"the environment variable {name} {state}",
                hint=f"Set {name} before Jupyter is started, or with %env in the notebook.",
            )
        secret = cls(value)
        object.__setattr__(secret, "_variable", name)
        object.__setattr__(secret, "_reference", f"env:{name}")
        return secret

    @classmethod
    def from_reference(cls, reference: str) -> Secret:
        """The value behind ``env:NAME``, ``file:PATH`` (its last line end is no part of it) or
        ``keyring:SERVICE/NAME`` (needs the package keyring).

        Raises ``UsageError`` that names the reference where there is no value.
        """
        kind, _, place = reference.partition(":")
        if kind == "env" and place:
            return cls.from_env(place)
        if kind == "file" and place:
            value: str | None = _from_file(place)
        elif kind == "keyring" and "/" in place:
            value = _from_keyring(place)
        else:
            raise UsageError(
                "that is no reference to a secret",
                hint="It is env:NAME, file:PATH or keyring:SERVICE/NAME, and not the value itself.",
            )
        if not value:
            raise UsageError(f"the secret {reference} is empty")
        secret = cls(value)
        object.__setattr__(secret, "_reference", reference)
        return secret

    @property
    def reference(self) -> str | None:
        """Where the value is from, as ``from_reference`` takes it; ``None`` where not known."""
        return self._reference

    def reveal(self) -> str:
        """The value itself."""
        return self._get()

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format("Secret(***)", spec)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": "Secret(***)"}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        mine, its = self.reveal().encode("utf-8", "surrogatepass"), other.reveal()
        return hmac.compare_digest(mine, its.encode("utf-8", "surrogatepass"))

    def __hash__(self) -> int:
        return hash((Secret, self.reveal()))

    def __bool__(self) -> bool:
        return True

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a Secret cannot be changed")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: Any) -> Secret:
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self._variable is None:
            self._refuse()
        return Secret.from_env, (self._variable,)

    def __getstate__(self) -> NoReturn:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise UsageError(
            "a Secret is not pickled: its value would be in the file",
            hint="Make it with Secret.from_env('NAME'): then the name of the variable is pickled.",
        )


def known_secrets() -> tuple[str, ...]:
    """The values of the Secrets made in this process (the newest 64)."""
    return _snapshot


def _register(value: str) -> None:
    global _snapshot
    if value not in _known:
        _known[value] = None
        while len(_known) > _MOST:
            del _known[next(iter(_known))]
        _snapshot = tuple(_known)


def _from_file(path: str) -> str:
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as file:
            text = file.read(65537)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(f"the secret file:{path} cannot be read: {reason}") from None
    if len(text) > 65536:
        raise UsageError(f"the secret file:{path} is longer than 65536 characters")
    return text.removesuffix("\n").removesuffix("\r")


def _from_keyring(place: str) -> str | None:
    service, _, name = place.rpartition("/")
    try:
        keyring = import_module("keyring")  # nobody needs it who keeps secrets elsewhere
    except ImportError:
        raise UsageError(
            f"the secret keyring:{place} needs the package keyring, which is not installed here",
            hint=f"{sys.executable} -m pip install keyring",
        ) from None
    try:
        value: str | None = keyring.get_password(service, name)
    except Exception as error:  # each backend has errors of its own
        raise UsageError(
            f"the keyring did not give keyring:{place}: {type(error).__name__}"
        ) from None
    if value is None:
        raise UsageError(
            f"the keyring has no {place}", hint=f"keyring set {service} {name} stores it."
        )
    return value
