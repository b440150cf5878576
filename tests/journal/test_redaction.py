"""No secret passes the redactor, and nothing else is touched."""

from __future__ import annotations

import base64
import inspect
import json
import logging
import random
import re
import time
import uuid
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jupyter_mlops.journal import REDACTED, Redactor
from jupyter_mlops.journal import redaction as module

from .planted import CODE, KINDS, plant
from .redacting import redacted

# Forms.


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_found_in_each_place(kind: str) -> None:
    for place in CODE:
        for seed in range(5):
            secret, text = plant(kind, place, seed)
            assert secret in text.replace("\\n", "\n") or "\n" in secret
            assert secret not in redacted(text), (place, text)


@given(st.sampled_from(list(KINDS)), st.sampled_from(list(CODE)), st.integers(0, 10_000), st.text())
def test_what_is_around_a_secret_does_not_hide_it(
    kind: str, place: str, seed: int, around: str
) -> None:
    secret, text = plant(kind, place, seed)
    assert secret not in redacted(f"{around}\n{text}\n{around}")


def test_what_is_around_a_secret_stays() -> None:
    text = 'url = "postgresql://me:pa55w0rd@db.example.org/x"\nrows = 5\n'
    assert re.sub(r"\*{3}\[.*?\]", "#", redacted(text)) == text.replace("pa55w0rd", "#")


def test_a_private_key_that_is_cut_off_and_one_that_is_only_mentioned() -> None:
    secret, pem = KINDS["private key"](random.Random(1))
    assert secret not in redacted(pem[: len(pem) * 3 // 4])
    text = 'if "-----BEGIN PRIVATE KEY-----" in text and "-----END PRIVATE KEY-----" in text:'
    assert redacted(text) == text


# Names.


@pytest.mark.parametrize(
    "text",
    [
        'password = "hunter2-x"', "password='hunter2-x'", 'password: str = "hunter2-x"',
        '{"api_key": "hunter2-x"}', '{"source": "password = \\"hunter2-x\\"\\n"}',
        "db_password: hunter2-x", "  api-key: hunter2-x  # mine", "DB_PASSWORD=hunter2-x",
        "export API_TOKEN=hunter2-x", "%env HF_TOKEN hunter2-x", "%env HF_TOKEN=hunter2-x",
        'Client(api_key="hunter2-x", host="h")', 'os.environ["API_KEY"] = "hunter2-x"',
        'os.environ.setdefault("API_KEY", "hunter2-x")', 'token = f"hunter2-x{n}"',
        '!curl --password "hunter2-x" http://h', "mysql --password=hunter2-x -u root",
        'run(["mysql", "--password", "hunter2-x"])', 'connect("host=h password=hunter2-x user=u")',
        "https://h/p?token=hunter2-x&n=1", 'if password == "hunter2-x":',
        'requests.get(url, auth=("me", "hunter2-x"))', 'secret = Secret("hunter2-x")',
        "Server=h;Database=d;Password=hunter2-x;", 'password = (\n    "hunter2-x"\n)',
        "PGPASSWORD=hunter2-x psql", 'password = b"hunter2-x"', 'pwd = """hunter2-x"""',
        "Authorization: Basic hunter2-x0000", 'SECRET_KEY: "hunter2-x"', "authToken='hunter2-x'",
        'password = "hunter2-x', 'print("db"); password = "hunter2-x"',
    ],
)  # fmt: skip
def test_values_of_secret_names(text: str) -> None:
    assert "hunter2" not in redacted(text)
    assert REDACTED.search(redacted(text))


_ORDINARY = """\
max_tokens=512
tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")
key_metric = "accuracy"
columns = ["user", "password", "age"]
df = df.rename(columns={"pwd": "password"})
df["token"] = df["text"].str.split()
sha = "8ff575e41f0a3c9e1d2b7a6c5d4e3f2a1b0c9d8e"
run_id = "123e4567-e89b-12d3-a456-426614174000"
token = os.environ["HF_TOKEN"]
token = os.getenv("HF_TOKEN")
token = os.environ.get("HF_TOKEN", "")
password = getpass.getpass("Password: ")
def connect(user: str, password: str, token: Optional[str] = None):
    password: str
    api_key: SecretStr
    api_key: pydantic.SecretStr
client = Client(api_key=api_key, token=token2)
    password=pw1,
tokenizer.pad_token = "<|endoftext|>"
tokenizer.pad_token = tokenizer.eos_token
mask_token="[MASK]"
for token in tokens: print(token)
if token == "hello world": pass
parser.add_argument("--token", "-t", help="the token")
parser.add_argument("--password", type=str, help="the password of the server")
print(f"password: {password}")
print("Enter your password:")
print("token:", token)
api_key = keys[0]
secret = None
password = ""
password = "<your password>"
url = "http://localhost:8888/?token=..."
url = f"postgresql://{user}:{password}@{host}/db"
export TOKEN=$(cat token.txt)
{"primary_key": "id", "sort_key": "x"}
foreign_key = "user_id"
from secrets import token_hex; token = token_hex(16)
secret_name = "prod/db"
token_type_ids = torch.zeros(3)
<div id="sk-container-id-1" class="sk-top-container sk-toggleable__label-arrow-1">
credentials = Credentials.from_service_account_file("key.json")
self.token = token
Token = namedtuple("Token", "kind value")
"Invalid token: expected ')'"
KeyError: 'password'
headers = {"Authorization": f"Bearer {token}"}
headers = {"Authorization": "Bearer " + token}
secret: Final = load()
os.environ["PWD"]
token: 1234
author = ("Jane Doe", "x")
n_tokens = 123456
random.seed(20240101); seed = 1234567890
digest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
requests==2.31.0 --hash=sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
pip install "git+https://github.com/org/repo.git@v1.0#egg=repo"
s3://bucket/key/part-00000-8ff575e4-1f0a-3c9e.snappy.parquet
"""


@pytest.mark.parametrize("line", [*_ORDINARY.splitlines(), _ORDINARY])
def test_ordinary_code_is_not_touched(line: str) -> None:
    assert redacted(line) == line


def test_sources_of_python_itself_are_not_touched() -> None:
    for source in (inspect.getsource(random), inspect.getsource(logging), inspect.getsource(json)):
        assert redacted(source) == source


def test_pictures_and_digests_are_not_touched() -> None:
    rng = random.Random(0)
    for _ in range(20):
        picture = base64.b64encode(rng.randbytes(20_000)).decode()
        assert redacted(picture, API_KEY="x1y2z3w4v5") == picture
        assert redacted(rng.randbytes(32).hex()) not in ("", None)
    words = " ".join(str(uuid.UUID(int=rng.getrandbits(128))) for _ in range(500))
    assert redacted(words) == words


def test_a_reference_to_a_secret_is_none() -> None:
    redactor = Redactor({})
    for reference in ("env:WAREHOUSE_KEY", "file:/run/secrets/key", "keyring:warehouse/ann"):
        text = f"password = Secret.from_reference({reference!r})\npassword = {reference!r}"
        assert redactor.redact_text(text) == text
        record = redactor.redact_record({"params": {"password": reference}})
        assert record == {"params": {"password": reference}}
    assert "hunter2-x" not in redactor.redact_text("password = 'hunter2-x env:WAREHOUSE_KEY'")


# The mark.


def test_equal_secrets_are_equal_marks_and_others_are_not() -> None:
    first, second, third = (
        redacted(f'password = "{value}"') for value in ("aaa-111", "aaa-111", "aaa-112")
    )
    assert first == second != third
    assert REDACTED.search(first)


def test_the_mark_survives_json_python_and_a_second_time() -> None:
    out = redacted('{"password": "hunter2-x"}')
    assert json.loads(out)
    assert redacted(out) == out
    assert redacted(repr(out)) == repr(out)


@given(st.text())
@example('password = "x"')
@example("-----BEGIN RSA PRIVATE KEY-----")
@example("İ password = 'hunter2'")
def test_any_text_twice_is_once(text: str) -> None:
    once = redacted(text)
    assert redacted(once) == once


@given(st.text(st.sampled_from("password token=:\"'\\\n{}[]()fb#-$%!x1 &;"), max_size=200))
def test_no_text_is_too_much(text: str) -> None:
    assert module._FAILED not in redacted(text)


def test_a_mistake_of_ours_lets_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr(module, "named_values", broken)
    assert redacted("a long enough text") == module._FAILED
    record = Redactor({}).redact_record({"type": "cell", "source": "a long enough text"})
    assert record == {"type": "cell", "source": module._FAILED}


def test_without_a_key_marks_are_still_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def unwritable(_: bytes) -> str:
        raise PermissionError

    monkeypatch.setattr(module, "sign", unwritable)
    assert REDACTED.search(redacted("password = 'hunter2-x'"))


# What it costs.


def test_the_cost_of_a_cell_and_of_a_long_text() -> None:
    """0.1 ms for 2 KB and 20 MB/s, with room for a busy machine; the figures are in the notes."""
    environ = {f"S{n}_TOKEN": f"value-{n}-{'x' * n}" for n in range(5)}
    redactor = Redactor(environ)
    cell = inspect.getsource(random)[:2048]
    text = "\n".join(f"epoch {n}: loss {1 / (n + 1):.5f}, {n % 60} s" for n in range(20_000))

    def best(of: str, times: int) -> float:
        found = []
        for _ in range(5):
            began = time.thread_time()
            for _ in range(times):
                assert redactor.redact_text(of) == of
            found.append((time.thread_time() - began) / times)
        return min(found)

    assert best(cell, 50) < 0.3e-3
    assert len(text) / best(text, 2) > 7e6
