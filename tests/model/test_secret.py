"""A Secret shows its value to nobody but ``reveal``."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from IPython.core.formatters import DisplayFormatter

from jupyter_mlops.errors import UsageError
from jupyter_mlops.model.secret import Secret, known_secrets

VALUE = "correct-h0rse"
SHOWN = "Secret(***)"


@pytest.mark.parametrize(
    "show",
    [
        repr, str, "{}".format, "{!r}".format, "%s".__mod__, "%r".__mod__, "{:>20}".format, ascii,
        lambda s: f"{s}", lambda s: f"{s!s:.50}", lambda s: repr([s, {"k": s}, (s,)]),
        lambda s: json.dumps({"k": s}, default=str), lambda s: str(ValueError(s)),
        lambda s: repr(s._get) + str(s), lambda s: str(dir(s)) + str(s),
    ],
)  # fmt: skip
def test_it_does_not_show_itself(show: Callable[[Any], str]) -> None:
    text = show(Secret(VALUE))
    assert VALUE not in text
    assert "Secret(***)" in text


def test_it_does_not_show_itself_in_a_notebook_a_log_or_a_traceback() -> None:
    secret = Secret(VALUE)
    data, _ = DisplayFormatter().format(secret)
    assert data == {"text/plain": SHOWN}
    stream = io.StringIO()
    logger = logging.Logger("test")
    logger.addHandler(logging.StreamHandler(stream))
    logger.warning("using %s", secret)
    assert stream.getvalue() == f"using {SHOWN}\n"
    try:
        raise ValueError(secret)
    except ValueError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        text = "".join(shown.format())
    assert VALUE not in text
    assert SHOWN in text


def test_it_is_no_text() -> None:
    secret: Any = Secret(VALUE)
    for use in (
        lambda: "x" + secret,
        lambda: "".join([secret]),
        lambda: secret + "x",
        lambda: json.dumps(secret),
        lambda: open(secret),  # noqa: SIM115
        lambda: len(secret),
        lambda: list(secret),
        lambda: secret.encode(),
    ):
        with pytest.raises((TypeError, AttributeError)) as caught:
            use()
        assert VALUE not in str(caught.value)


def test_reveal_and_equality() -> None:
    secret = Secret(VALUE)
    assert secret.reveal() == VALUE
    assert secret == Secret(VALUE) == Secret(secret) == Secret(VALUE.encode())
    assert secret != Secret("another-0ne")
    assert secret != VALUE
    assert secret != SHOWN
    assert len({secret, Secret(VALUE), Secret("another-0ne")}) == 2
    assert copy.copy(secret) is copy.deepcopy(secret) is secret
    assert Secret("pä\udc80ss") == Secret("pä\udc80ss")


def test_it_cannot_be_changed() -> None:
    secret: Any = Secret(VALUE)
    with pytest.raises(AttributeError):
        secret._get = lambda: "x"
    with pytest.raises(AttributeError):
        secret.other = 1


@pytest.mark.parametrize("value", ["", None, 5, ["x"]])
def test_what_it_is_not_made_from(value: Any) -> None:
    with pytest.raises(UsageError, match="is made from a text"):
        Secret(value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_its_value_is_not_pickled(protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="is not pickled"):
        pickle.dumps({"k": Secret(VALUE)}, protocol)
    monkeypatch.setenv("MY_KEY", VALUE)
    data = pickle.dumps(Secret.from_env("MY_KEY"), protocol)
    assert VALUE.encode() not in data
    monkeypatch.setenv("MY_KEY", "the-0ther-value")
    assert pickle.loads(data).reveal() == "the-0ther-value"


def test_a_variable_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(UsageError, match="MY_KEY is not set"):
        Secret.from_env("MY_KEY")
    monkeypatch.setenv("MY_KEY", "")
    with pytest.raises(UsageError, match="MY_KEY is empty"):
        Secret.from_env("MY_KEY")


def test_its_value_is_known_to_who_redacts() -> None:
    Secret("kn0wn-to-them")
    assert "kn0wn-to-them" in known_secrets()
    for number in range(300):
        Secret(f"value-{number}")
    assert len(known_secrets()) == 64
    assert "kn0wn-to-them" not in known_secrets()


def test_a_joblib_file(tmp_path: Path) -> None:
    joblib = pytest.importorskip("joblib")
    with pytest.raises(UsageError):
        joblib.dump(Secret(VALUE), tmp_path / "x")
    assert VALUE.encode() not in (tmp_path / "x").read_bytes()
