"""Secrets that are told by the name they go by: ``password = "..."``, ``{"api_key": ...}``.

``is_secret_name`` decides on a name; ``named_values`` finds, in a text, the values that such names
are given: in Python (also annotated, in calls and in f-strings), JSON, YAML, ``.env`` files, shell
lines, command-line options and addresses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

__all__ = ["is_secret_name", "named_values"]

_WORDS = frozenset(
    {"password", "passwords", "passwd", "pwd", "passphrase", "secret", "secrets", "credential",
     "credentials", "apikey", "authtoken", "accesskey", "privatekey"}
)  # fmt: skip
# Written as one word: PGPASSWORD, dbpassword.
_ENDS = ("password", "passwd", "passphrase", "apikey", "secretkey", "authtoken", "accesstoken")
_PAIRS = frozenset(
    {("api", "key"), ("access", "key"), ("secret", "key"), ("private", "key"), ("auth", "key"),
     ("account", "key"), ("encryption", "key"), ("signing", "key"), ("connection", "string"),
     ("db", "pass"), ("user", "pass"), ("smtp", "pass"), ("mail", "pass"), ("email", "pass"),
     ("ftp", "pass"), ("redis", "pass"), ("mysql", "pass"), ("pg", "pass"), ("postgres", "pass"),
     ("admin", "pass"), ("root", "pass"), ("ldap", "pass"), ("ssh", "pass"), ("key", "pass")}
)  # fmt: skip
# Words before or after "token" that make it a token of a text.
_TEXT_BEFORE = frozenset(
    {"pad", "eos", "bos", "unk", "mask", "sep", "cls", "special", "next", "first", "last", "end",
     "start", "stop", "begin", "prev", "previous", "current", "num", "max", "min", "per", "n",
     "sub", "input", "output", "text", "word", "target", "image", "decoder", "mean", "total"}
)  # fmt: skip
_TEXT_AFTER = frozenset(
    {"count", "counts", "id", "ids", "type", "types", "len", "length", "lengths", "limit", "size",
     "embedding", "embeddings", "emb", "index", "indices", "dim", "classification", "budget",
     "usage", "level", "wise", "logits", "loss", "list", "freq", "frequency"}
)  # fmt: skip
# Names that end so speak of a secret, and do not hold one.
_ABOUT = frozenset(
    {"path", "file", "filename", "filepath", "dir", "folder", "url", "uri", "endpoint", "name",
     "column", "columns", "col", "cols", "field", "length", "policy", "strength", "type", "arn",
     "expiry", "expires", "attempts"}
)  # fmt: skip
_SPLIT = re.compile(r"[^0-9A-Za-z]+|(?<=[a-z0-9])(?=[A-Z])")


@lru_cache(maxsize=8192)
def is_secret_name(name: str) -> bool:
    """Whether a name says that its value is a secret: ``password``, ``API_KEY``, ``authToken``.

    Whole words count, so ``tokenizer``, ``max_tokens`` and ``key_metric`` are not secrets; neither
    are the tokens of a text (``pad_token``, ``token_ids``) and what only speaks of a secret
    (``password_column``, ``token_url``).
    """
    words = [word.lower() for word in _SPLIT.split(name) if word]
    if len(words) > 1 and words[-1] in _ABOUT:
        return False
    return (
        any(word in _WORDS or word.endswith(_ENDS) for word in words)
        or any(pair in _PAIRS for pair in pairwise(words))
        or _has_token(words)
    )


def _has_token(words: list[str]) -> bool:
    for place, word in enumerate(words):
        if word != "token":
            continue
        before = words[place - 1] if place else ""
        after = words[place + 1] if place + 1 < len(words) else ""
        if before not in _TEXT_BEFORE and after not in _TEXT_AFTER:
            return True
    return False


# What every secret name contains, in lower case: looked for first, as it is rarely there.
_TRIGGERS = ("passw", "passphrase", "pwd", "secret", "credential", "token", "key", "connection",
             "_pass")  # fmt: skip
_TRIGGER = re.compile("|".join(_TRIGGERS).replace("token", "token(?!s|iz)"))
_BEFORE_KEY = tuple(
    first + joint for first, second in _PAIRS if second == "key" for joint in ("", "_", "-", ".")
)
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")
_NAME = re.compile(r"[\w.-]{1,100}", re.ASCII)
_QUOTE = r"""\\?(?:\"\"\"|'''|"|')"""
_JOIN = re.compile(
    r"(?P<close>\\?['\"])?(?:\s{0,4}\])?[ \t]{0,8}"
    r"(?::\s{0,4}[A-Za-z_][\w.\[\], |]{0,60}?\s{0,4}(?==[^=]))?"  # an annotation
    r"(?P<op>:=|===?|!=|=>|=|:(?!:))[ \t]{0,20}"
    r"(?:\\?\n[ \t]*)?"
)
_QUOTED = re.compile(
    r"(?:(?:[\w.]*\.)?(?:Secret|SecretStr|str|bytes)?\(\s*)?"
    rf"(?P<prefix>[rRbBuUfF]{{0,2}})(?P<quote>{_QUOTE})"
)
_PAIR = re.compile(rf"\\?['\"]\s*,\s*(?P<prefix>[rRbBuUfF]{{0,2}})(?P<quote>{_QUOTE})")
# Calls that take a name and its value as two arguments.
_SETTER = re.compile(
    r"(?:setdefault|getenv|environ\.get|putenv|setenv|set_key|set_env)\(\s*\\?['\"]$"
)
_NUMBER = re.compile(r"\d{4,}(?![\w.])", re.ASCII)
_BARE = re.compile(r"[^\s'\"`,;&)\]}\\]+")
_ENV_VALUE = re.compile(r"[^\s'\"`;&\\]+")
_YAML_VALUE = re.compile(r"[^\s'\"#\\][^\s'\"\\]*(?=[ \t]*(?:#[^\n]*)?(?:\\n|\n|\r|$))")
_PLAIN_WORDS = re.compile(r"[A-Za-z_][A-Za-z_]*(?:\.[A-Za-z_]\w*)*[|,]?")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*")
_LINE_HEAD = re.compile(r"(?:^|\n|\\n)[ \t]*(?:[-*>] )?[ \t]*(?:\\?['\"])?$")
_SHELL_HEAD = re.compile(
    r"(?:^|\n|\\n|;|&&|\\?['\"])[ \t]*(?:[!$%]{0,2}[ \t]*(?:export|set|setx|env|set_env)[ \t]+)?$"
)
_EXPORT_HEAD = re.compile(r"(?:\bexport|\bsetx?|%env|%set_env|\benv)[ \t]+$")
_MAGIC_VALUE = re.compile(r"[ \t]+([^\s=]\S*)")
_OPTION_VALUE = re.compile(r"[ \t]+(?:(?P<quote>\\?['\"]))?(?P<value>[^\s'\"<\[{$\\-][^\s'\"\\]*)")
_PLACEHOLDER = re.compile(
    r"\*+(?:\[.*)?|<.*>|\{.*\}|\$.*|%\(.*|%s|\.{2,}|[xX]{3,}|None|null|true|false|True|False|"
    r"(?i:your|my|the)[-_ ].*|REDACTED|Secret\(\*\*\*\)",
    re.DOTALL,
)
_NAME_LIKE = re.compile(r"[a-z]+(?:_[a-z]+)*")
_SPECIAL_TOKEN = re.compile(r"\[[\w ]+\]|<.*|\W*")
_FIELD = re.compile(r"\{[^{}]*\}")


def named_values(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield ``(start, end, name)`` of the values that secret names are given in ``text``.

    In the order of the text, and not overlapping.  Placeholders (``None``, ``<token>``, ``$TOKEN``,
    ``***``), names of other variables and what is read from elsewhere are no values.
    """
    lower = text.lower()
    if len(lower) != len(text):  # A few letters grow when they are lowered.
        lower = "".join(map(_lower, text))
    if not any(trigger in lower for trigger in _TRIGGERS):
        return
    done = 0
    for hit in _TRIGGER.finditer(lower):
        start = hit.start()
        if start < done or (
            lower.startswith("key", start) and not lower.endswith(_BEFORE_KEY, 0, start)
        ):
            continue
        lowest = max(done, start - 60)
        while start > lowest and text[start - 1] in _NAME_CHARACTERS:
            start -= 1
        if text[start - 1 : start] == "\\" and text[start] in "nrt" and start < hit.start():
            start += 1  # After an escaped line break.
        match = _NAME.match(text, start)
        if match is None:
            continue
        name = match.group().strip("-.")
        done = match.end()
        if not is_secret_name(name) or text.startswith("***[", max(0, start - 4)):
            continue  # The second are the marks of secrets that were replaced.
        for begin, end in _value(text, start, match.end(), name):
            if begin >= done or begin >= match.end():
                yield begin, end, name
                done = max(done, end)


def _lower(character: str) -> str:
    lowered = character.lower()
    return lowered if len(lowered) == 1 else character


def _value(text: str, start: int, end: int, name: str) -> list[tuple[int, int]]:
    join = _JOIN.match(text, end)
    before = text[max(0, start - 24) : start]
    if join is not None:
        operator = join.group("op")
        if operator in ("==", "===", "!=") and _is_plain_token(name):
            return []  # `token == "word"`
        quoted = _QUOTED.match(text, join.end())
        if quoted is not None:
            if join.group("close") is None and _closes(text, start, quoted.group("quote")):
                return []  # print("password:", password)
            return _content(text, quoted, name)
        number = _NUMBER.match(text, join.end())
        if number is not None:
            return [] if "token" in name.lower() else [number.span()]
        if operator in ("=", ":", ":="):
            return _bare(text, start, join, name, before)
        return []
    pair = _PAIR.match(text, end)
    if pair is not None:
        option = text[start:end].startswith("--")
        if option or _SETTER.search(before):
            found = _content(text, pair, name)
            if option and found and text[found[0][0]] == "-":
                return []  # add_argument("--token", "-t")
            return found
        return []
    if text[start : start + 2] == "--":
        return _option(text, start, end, name)
    if re.search(r"%(?:set_)?env[ \t]+$", before):
        magic = _MAGIC_VALUE.match(text, end)
        return [] if magic is None or _is_placeholder(magic.group(1), name) else [magic.span(1)]
    return []


def _closes(text: str, start: int, quote: str) -> bool:
    """Whether a quotation mark after ``start`` ends a literal that began before it in its line."""
    line = text.rfind("\n", 0, start) + 1
    return text.count(quote, max(line, start - 2000), start) % 2 == 1


def _content(text: str, opening: re.Match[str], name: str) -> list[tuple[int, int]]:
    """The content of a string literal; of an f-string, what stands between its fields."""
    quote, begin = opening.group("quote"), opening.end()
    end = begin
    while True:
        end = text.find(quote, end)
        if end < 0:
            # Cut off: to the end of the line.
            found = text.find("\n", begin)
            end = len(text) if found < 0 else found
            break
        backslashes = end - len(text[begin:end].rstrip("\\")) - begin
        if quote.startswith("\\"):
            if backslashes % 4 == 0:
                break
        elif backslashes % 2 == 0:
            break
        end += 1
    if len(quote.lstrip("\\")) == 1:
        line = text.find("\n", begin, end)
        end = line if line >= 0 else end
    if _is_placeholder(text[begin:end], name):
        return []
    if "f" not in opening.group("prefix").lower():
        return [(begin, end)]
    parts, position = [], begin
    for field in _FIELD.finditer(text, begin, end):
        parts.append((position, field.start()))
        position = field.end()
    parts.append((position, end))
    return [(a, b) for a, b in parts if any(map(str.isalnum, text[a:b]))]


def _bare(
    text: str, start: int, join: re.Match[str], name: str, before: str
) -> list[tuple[int, int]]:
    """A value without quotation marks, where it cannot be an expression of Python."""
    begin, spaced = (
        join.end(),
        text[join.start("op") - 1].isspace() or text[join.end() - 1].isspace(),
    )
    if "\n" in text[join.start() : begin]:
        return []
    if join.group("op") != "=":
        if join.group("close"):
            return []
        if _LINE_HEAD.search(before):
            value = _YAML_VALUE.match(text, begin)
            if value is None or _is_annotation(value.group()):
                return []
        else:
            value = _BARE.match(text, begin)
            if value is None or not _looks_secret(value.group()):
                return []
        found = value
    elif spaced:
        return []
    else:
        in_address = before[-1:] in ("?", "&", ";") or text[start : start + 2] == "--"
        exported = _EXPORT_HEAD.search(before) is not None
        if in_address or exported or (name.isupper() and _SHELL_HEAD.search(before)):
            found_value = (_BARE if in_address else _ENV_VALUE).match(text, begin)
            if found_value is None or (_calls(found_value.group()) and not exported):
                return []
            found = found_value
        else:
            bare = _BARE.match(text, begin)
            after = text[bare.end() : bare.end() + 1] if bare is not None else ""
            if (
                bare is None
                or after in (",", ")", "]", "}")
                or before.rstrip().endswith((",", "("))
                or not _looks_secret(bare.group())
            ):
                return []
            found = bare
    return [] if _is_placeholder(found.group(), name) else [found.span()]


_TYPES = frozenset(
    {"str", "bytes", "int", "float", "bool", "list", "dict", "set", "tuple", "any", "object",
     "none", "null", "true", "false", "string", "integer", "number", "boolean", "required",
     "optional", "invalid", "missing", "expired"}
)  # fmt: skip


def _is_annotation(value: str) -> bool:
    """Whether what follows ``password:`` in a line of its own is a type of Python."""
    if value.islower():
        return "." in value or value.rstrip(",") in _TYPES or _calls(value)
    return _PLAIN_WORDS.fullmatch(value) is not None or "[" in value


def _looks_secret(value: str) -> bool:
    return (
        len(value) >= 6
        and any(map(str.isdigit, value))
        and any(map(str.isalpha, value))
        and not _calls(value)
    )


def _calls(value: str) -> bool:
    return any(bracket in value for bracket in "([{")


def _option(text: str, start: int, end: int, name: str) -> list[tuple[int, int]]:
    """The word after ``--password``: in a shell line any, elsewhere one that looks random."""
    option = _OPTION_VALUE.match(text, end)
    if option is None:
        return []
    value = option.group("value")
    line = text.rfind("\n", 0, start) + 1
    shell = text[line : line + 3].lstrip()[:1] in ("!", "$", "%")
    if _is_placeholder(value, name) or (value.isupper() and value.isalpha()):
        return []
    if not (shell or option.group("quote") or (len(value) >= 6 and not value.isalpha())):
        return []
    return [option.span("value")]


def _is_plain_token(name: str) -> bool:
    return name.lower() in ("token", "tok_token")


def _is_placeholder(value: str, name: str) -> bool:
    if not value.strip() or _PLACEHOLDER.fullmatch(value):
        return True
    if "token" in name.lower() and (len(value) < 6 or _SPECIAL_TOKEN.fullmatch(value)):
        return True
    # A name in the place of a value: columns={"pwd": "password"}.
    return _NAME_LIKE.fullmatch(value) is not None and (
        value == name.lower() or is_secret_name(value)
    )
