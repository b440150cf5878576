"""Twenty kinds of secrets, made up here, and the places where people leave them."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable

__all__ = ["CODE", "KINDS", "plant"]

_LETTERS = string.ascii_letters + string.digits
_UPPER = string.ascii_uppercase + "234567"
_HEX = "0123456789abcdef"

Make = Callable[[random.Random], tuple[str, str]]
"""Returns the secret itself, and the text in which it is found."""


def _of(pattern: str, alphabet: str, length: int, text: str = "{}") -> Make:
    def make(rng: random.Random) -> tuple[str, str]:
        body = "".join(rng.choice(alphabet) for _ in range(length))
        secret = pattern.replace("@", body) if "@" in pattern else pattern + body
        return body, text.format(secret)

    return make


def _jwt(rng: random.Random) -> tuple[str, str]:
    head = "eyJ" + "".join(rng.choice(_LETTERS) for _ in range(30))
    body = "eyJ" + "".join(rng.choice(_LETTERS) for _ in range(60))
    return body, f"{head}.{body}.{''.join(rng.choice(_LETTERS) for _ in range(43))}"


def _pem(rng: random.Random) -> tuple[str, str]:
    lines = ["".join(rng.choice(_LETTERS + "+/") for _ in range(64)) for _ in range(6)]
    text = "\n".join(
        ["-----BEGIN RSA " + "PRIVATE KEY-----", *lines, "-----END RSA PRIVATE KEY-----"]
    )
    return lines[3], text


def _service_account(rng: random.Random) -> tuple[str, str]:
    secret, pem = _pem(rng)
    return secret, json.dumps({"type": "service_account", "private_key": pem})


KINDS: dict[str, Make] = {
    "aws key id": _of("AKIA", _UPPER, 16),
    "aws secret": _of("", _LETTERS, 40, "aws_secret_access_key = {}"),
    "github": _of("ghp_", _LETTERS, 36),
    "github fine": _of("github_pat_", _LETTERS, 60),
    "gitlab": _of("glpat-", _LETTERS, 20),
    "slack": _of("xoxb-123456789012-", _LETTERS, 24),
    "stripe": _of("sk_live_", _LETTERS, 24),
    "google": _of("AIza", _LETTERS, 35),
    "service account": _service_account,
    "private key": _pem,
    "jwt": _jwt,
    "openai": _of("sk-proj-", _LETTERS, 48),
    "anthropic": _of("sk-ant-api03-", _LETTERS, 60),
    "huggingface": _of("hf_", _LETTERS, 34),
    "azure storage": _of(
        "", _LETTERS, 86,
        "DefaultEndpointsProtocol=https;AccountName=x;AccountKey={}==;EndpointSuffix=core.x",
    ),
    "azure sas": _of("", _LETTERS, 43, "https://x.blob.core.x/c?sv=2024-01-01&sig={}%3D&se=1"),
    "database": _of("", _LETTERS, 14, "postgresql+psycopg://me:{}@db.example.org:5432/sales"),
    "basic auth": _of("", _LETTERS, 14, "https://me:{}@git.example.org/x.git"),
    "databricks": _of("dapi", _HEX, 32),
    "npm": _of("npm_", _LETTERS, 36),
    "pypi": _of("pypi-AgEIcHlwaS5vcmc", _LETTERS, 70),
    "sendgrid": _of("", _LETTERS, 43, "SG.abcdefghijklmnopqrstuv.{}"),
    "twilio": _of("SK", _HEX, 32),
    "telegram": _of("123456789:AA", _LETTERS, 33),
    "bearer": _of("", _LETTERS, 32, "Authorization: Bearer {}"),
    "password": _of("", _LETTERS, 12, 'password = "{}"'),
}  # fmt: skip

CODE: dict[str, str] = {
    "assignment": "x = {0!r}",
    "call": "client = connect(host, {0!r}, 3)",
    "comment": "y = 1  # was {0}",
    "dictionary": "settings = {{'a': 1, 'b': {0!r}}}",
    "printed": "{0}",
    "log line": "2026-01-01 12:00:00 INFO using {0} now",
    "json": '{{"value": {1}}}',
    "lines": "y = 1\\n{0}\\n",
    "colour": "\x1b[31m{0}\x1b[0m",
    "address": "https://x.org/?q%3D{0}",
    "markup": "<td>{0}</td>",
}


def plant(kind: str, place: str, seed: int = 0) -> tuple[str, str]:
    """A secret of ``kind``, and a text with it in ``place``."""
    secret, text = KINDS[kind](random.Random(f"{kind} {seed}"))
    return secret, CODE[place].format(text, json.dumps(text))
