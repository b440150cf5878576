"""Secrets that are told by how they look: the forms that services give to their tokens and keys.

Each pattern has literal triggers, one of which every match contains, so that texts without any are
passed over at the speed of ``in``.  A pattern's last group, where it has groups, is the secret.
Sources: the services' own documentation of their token formats.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

__all__ = ["pattern_values"]


class _Kind(NamedTuple):
    name: str
    triggers: tuple[str, ...]
    pattern: str


def _kind(name: str, triggers: str, pattern: str) -> _Kind:
    return _Kind(name, tuple(triggers.split()), pattern)


@cache  # Compiled when first needed: all of them would cost the kernel ten milliseconds.
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


# Not inside a longer word, but after an escaped line break, a colour, or a quoted character.
_AFTER = r"|(?<=\\[nrt])|(?<=[0-9]m)|(?<=%[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4})"
_W = rf"(?:(?<![A-Za-z0-9_]){_AFTER})"
# The same for what pictures in base64 are full of.
_B = rf"(?:(?<![A-Za-z0-9+/_-]){_AFTER})"
_E = r"(?![A-Za-z0-9+/_-])"

_PEM = "-----{} [A-Z ]{{0,30}}PRIVATE KEY(?: BLOCK)?-----"

# Tokens: words of at least 14 characters.
_TOKENS = (
    _kind("aws-key-id", "AKIA ASIA ABIA ACCA", rf"{_B}(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{{16}}{_E}"),
    _kind("github", "ghp_ gho_ ghu_ ghs_ ghr_", rf"{_W}gh[pousr]_[A-Za-z0-9]{{30,255}}\b"),
    _kind("github", "github_pat_", rf"{_W}github_pat_[A-Za-z0-9_]{{22,255}}\b"),
    _kind("gitlab", "glpat- gldt- glrt- glptt-",
          rf"{_W}gl(?:pat|dt|rt|ptt)-[\w-]{{20,}}(?:\.[\w.]+)?"),
    _kind("slack", "xox xapp-", rf"{_W}(?:xox[abeoprs]|xapp)-[\w-]{{10,}}"),
    _kind("slack", "hooks.slack.com", r"hooks\.slack\.com/services/([\w/+-]{20,})"),
    _kind("stripe", "k_live_ k_test_ whsec_",
          rf"{_W}(?:[spr]k_(?:live|test)|whsec)_[0-9A-Za-z+/=]{{16,}}"),
    _kind("google", "AIza", rf"{_B}AIza[\w-]{{35}}{_E}"),
    _kind("google", "ya29. GOCSPX-", rf"{_W}(?:ya29\.[\w-]{{20,}}|GOCSPX-[\w-]{{20,}})"),
    _kind("jwt", "eyJ", rf"{_W}eyJ[\w-]{{8,}}\.eyJ[\w-]{{8,}}(?:\.[\w-]*)?"),
    _kind("anthropic", "sk-ant-", rf"{_W}sk-ant-[\w-]{{20,}}"),
    _kind("openai", "sk-",
          rf"{_W}sk-(?:(?:proj|svcacct|admin|or|lf)-[\w-]{{20,}}|[A-Za-z0-9]{{32,}})"),
    _kind("huggingface", "hf_ api_org_", rf"{_B}(?:hf|api_org)_[A-Za-z0-9]{{30,}}{_E}"),
    _kind("azure", "AccountKey= SharedAccessKey=",
          r"(?:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{20,}={0,2})"),
    _kind("azure", "sig=", r"[?&;]sig=([A-Za-z0-9%+/=_-]{20,})"),
    _kind("databricks", "dapi", rf"{_B}dapi[0-9a-f]{{32}}(?:-\d+)?\b"),
    _kind("npm", "npm_", rf"{_W}npm_[A-Za-z0-9]{{36,}}\b"),
    _kind("pypi", "pypi-", rf"{_W}pypi-[\w-]{{50,}}"),
    _kind("sendgrid", "SG.", rf"{_W}SG\.[\w-]{{16,}}\.[\w-]{{16,}}"),
    _kind("twilio", "SK", rf"{_B}SK[0-9a-f]{{32}}{_E}"),
    _kind("telegram", ":AA", rf"{_B}\d{{8,10}}:AA[\w-]{{32,34}}{_E}"),
    _kind("digitalocean", "dop_v1_ doo_v1_", rf"{_W}do[op]_v1_[0-9a-f]{{64}}\b"),
    _kind("docker", "dckr_pat_", rf"{_W}dckr_pat_[\w-]{{20,}}"),
    _kind("vault", "hvs.", rf"{_W}hvs\.[\w-]{{20,}}"),
    _kind("shopify", "shpat_", rf"{_W}shpat_[0-9a-fA-F]{{32}}\b"),
    _kind("groq", "gsk_", rf"{_W}gsk_[A-Za-z0-9]{{40,}}\b"),
    _kind("url", "://", r"://[^\s:/@'\"<>{}$*]{0,100}:([^\s/@'\"<>{}*]{1,200})@"),
    _kind("url", "://", r"://([A-Za-z0-9_-]{20,200})@"),
)  # fmt: skip
# What needs the text around the secret.
_CONTEXTS = (
    _kind(
        "private-key", "PRIVATE",
        # Whole, or cut off somewhere in its base64.
        rf"{_PEM.format('BEGIN')}(?:(?:[^-]|-(?!----)){{40,20000}}{_PEM.format('END')}"
        rf"|[\sA-Za-z0-9+/=\\\"':,]{{40,20000}})",
    ),
    _kind("aws-secret", "aws AWS Aws", rf"(?i:aws)[^\n]{{0,60}}?{_B}([A-Za-z0-9/+]{{40}}){_E}"),
    _kind("aws-secret", "AKIA ASIA",
          rf"(?:AKIA|ASIA)[0-9A-Z]{{16}}['\"]?[\s,:;|]{{1,20}}['\"]?([A-Za-z0-9/+]{{40}}){_E}"),
    _kind("bearer", "earer EARER", r"(?i:bearer)\s+([A-Za-z0-9._~+/=-]{16,})"),
    _kind("basic-auth", "uthorization UTHORIZATION",
          r"(?i:authorization)\\?['\"]?\s*[:=,]\s*[bf]?\\?['\"]?(?i:basic|token|apikey|negotiate)\s+"
          r"([^\s'\"\\]{8,})"),
    _kind("basic-auth", "auth Auth",
          r"(?:\b|_|[a-z])[aA]uth['\"]?\s*[=(:]{1,2}\s*\(?\s*['\"][^'\"\n]{0,80}['\"]\s*,"
          r"\s*['\"]([^'\"\n]{1,200})['\"]\s*\)"),
)  # fmt: skip
_SHORTEST = 14  # characters of a word with a token in it


def pattern_values(text: str, words: str) -> Iterator[tuple[int, int, str]]:
    """Yield ``(start, end, kind)`` of what looks like a secret; not in order, may overlap.

    ``words`` are the long words of ``text`` (those of 14 characters and more, white space between
    them): most patterns need one and are looked for there first.
    """
    if len(words) >= _SHORTEST:
        for kind in _TOKENS:
            for trigger in kind.triggers:
                if trigger in words:
                    yield from _matches(kind, text)
                    break
    for kind in _CONTEXTS:
        for trigger in kind.triggers:
            if trigger in text:
                yield from _matches(kind, text)
                break


def _matches(kind: _Kind, text: str) -> Iterator[tuple[int, int, str]]:
    pattern = _compiled(kind.pattern)
    for match in pattern.finditer(text):
        yield *match.span(pattern.groups), kind.name
