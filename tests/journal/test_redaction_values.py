"""A secret that is known by its value is found in all its forms, from then on."""

from __future__ import annotations

import base64
import json
import os
import re
import threading
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.journal import Redactor, default_redactor, redact_text
from jupyter_mlops.journal import redaction as module
from jupyter_mlops.model.secret import Secret

from .redacting import redacted

_FORMS = {
    "as it is": lambda s: s,
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 unpadded": lambda s: base64.b64encode(s.encode()).decode().rstrip("="),
    "base64 url": lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    "basic": lambda s: base64.b64encode(f"user:{s}".encode()).decode(),
    "basic shifted": lambda s: base64.b64encode(f"users:{s}@x".encode()).decode(),
    "hex": lambda s: s.encode().hex(),
    "HEX": lambda s: s.encode().hex().upper(),
    "quoted": lambda s: quote(s, safe=""),
    "quoted plus": quote_plus,
    "json": json.dumps,
    "json in json": lambda s: json.dumps(json.dumps(s)),
    "repr": repr,
    "list": lambda s: repr([s, s]),
}


def _is_there(secret: str, text: str) -> bool:
    """Whether somebody who knows the encodings finds the secret in a text."""
    if secret in text or secret in json.loads(f'"{text}"' if '"' not in text else '""'):
        return True
    for run in re.findall(r"[A-Za-z0-9+/_-]{6,}", text):
        for start in range(4):
            part = run[start:].replace("-", "+").replace("_", "/")
            part = part[: len(part) // 4 * 4] if len(part) % 4 else part
            if secret.encode() in base64.b64decode(part + "=" * (-len(part) % 4)):
                return True
    return secret.encode().hex() in text.lower()


@pytest.mark.parametrize("form", _FORMS)
@pytest.mark.parametrize(
    "secret", ["hunter2-correct", "päss wörd/+?&=", "a\"b\\c\nd'e1", "abc+def/ghi==", "x1y2z3"]
)
def test_values_of_the_environment_in_all_their_forms(secret: str, form: str) -> None:
    text = f"before {_FORMS[form](secret)} after"
    out = redacted(text, MY_API_KEY=secret)
    assert out.startswith("before ")
    assert out.endswith(" after")
    assert "***[MY_API_KEY:" in out
    assert not _is_there(secret, out.replace("\n", " "))


@given(
    st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=8).filter(
        lambda s: module._is_exact(s)
    ),
    st.sampled_from(list(_FORMS)),
    st.text(),
)
def test_any_value_in_any_form(secret: str, form: str, around: str) -> None:
    text = f"{around} {_FORMS[form](secret)} {around}"
    out = redacted(text, DB_PASSWORD=secret)
    assert secret not in out.replace("***[DB_PASSWORD:", "")
    assert _FORMS[form](secret).strip("\"'=") not in out


def test_the_environment_is_that_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    redactor = Redactor()
    text = "value q7w8e9r0t1 here"
    assert redactor.redact_text(text) == text
    monkeypatch.setenv("MY_SERVICE_TOKEN", "q7w8e9r0t1")
    assert "q7w8e9r0t1" not in redactor.redact_text(text)
    monkeypatch.setenv("MY_SERVICE_TOKEN", "other-value-1")
    assert redactor.redact_text(text) == text
    monkeypatch.delenv("MY_SERVICE_TOKEN")
    assert redactor.redact_text("other-value-1") == "other-value-1"


def test_what_is_no_secret_in_the_environment(tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    key.write_text("{}")
    environ = {
        "PWD": "/home/me/project", "GOOGLE_APPLICATION_CREDENTIALS": str(key), "API_KEY": "short",
        "DEBUG_TOKEN": "localhost", "POSTGRES_PASSWORD": "postgres", "MAX_TOKENS": "123456789",
        "HOME_SECRET": "1234567",
    }  # fmt: skip
    text = " ".join([*environ.values(), "true"])
    assert redacted(text, **environ) == text


def test_the_password_in_an_address_of_the_environment() -> None:
    environ = {
        "DATABASE_URL": "postgresql://me:pa55w0rd-x@db.example.org/x",
        "HOME_URL": "http://x",
    }
    out = redacted("login of me failed with pa55w0rd-x at http://x", **environ)
    assert re.sub(r":\w{8}", "", out) == "login of me failed with ***[DATABASE_URL] at http://x"


def test_variables_of_the_notebook() -> None:
    redactor = Redactor({})
    redactor.add("db_password", "s3cr3t-value")
    redactor.add("credentials", {"user": "me", "key": ["an0ther-value"]})
    redactor.add("key", b"byt3s-value")
    redactor.add("api", Secret("revea1ed-value"))
    redactor.add("token", "hello")
    redactor.add("token", "sentence")
    redactor.add("count", 12345678)
    out = redactor.redact_text("s3cr3t-value an0ther-value byt3s-value revea1ed-value sentence")
    assert re.sub(r":\w{8}", "", out) == (
        "***[db_password] ***[credentials] ***[key] ***[api] sentence"
    )


def test_a_secret_object_is_known_everywhere() -> None:
    Secret("known-from-n0w-on")
    assert "known-from-n0w-on" not in redact_text("x known-from-n0w-on y")


def test_what_a_name_has_shown_is_known_from_then_on() -> None:
    redactor = Redactor({})
    redactor.redact_text('api_key = "abc-123-def"')
    assert redactor.redact_text("used abc-123-def") == redactor.redact_text("used abc-123-def")
    assert "abc-123-def" not in redactor.redact_text("used abc-123-def")


def test_only_so_many_are_remembered() -> None:
    redactor = Redactor({})
    for number in range(1000):
        redactor.add("key", f"s3cret-{number:04}")
    assert len(redactor._added) == 64
    assert redactor.redact_text("s3cret-0999") != "s3cret-0999"


def test_it_takes_the_environment_of_this_process() -> None:
    assert Redactor()._environ is os.environ


def test_what_was_clean_is_looked_at_again_when_more_is_known() -> None:
    environment: dict[str, str] = {}
    redactor = Redactor(environment)
    text = "the cell printed xK3-v9qLw2 and went on"
    assert redactor.redact_text(text) == redactor.redact_text(text) == text
    environment["DB_PASSWORD"] = "xK3-v9qLw2"
    assert "xK3-v9qLw2" not in redactor.redact_text(text)
    other = "and then it printed wP8_z4tRm1 once"
    assert redactor.redact_text(other) == other
    redactor.add("token", "wP8_z4tRm1")
    assert "wP8_z4tRm1" not in redactor.redact_text(other)


def test_one_redactor_for_the_process() -> None:
    assert default_redactor() is default_redactor()


def test_from_several_threads() -> None:
    redactor, wrong = Redactor({}), []

    def work(number: int) -> None:
        for turn in range(50):
            secret = f"s3cret-{number}-{turn}"
            if secret in redactor.redact_text(f'password = "{secret}"'):
                wrong.append(secret)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
