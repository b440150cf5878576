from __future__ import annotations

import ast
import random
import time
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_mlops.capture import seeds as seeds_module
from jupyter_mlops.capture.seeds import Seeds, find_seeds


@pytest.fixture(autouse=True, scope="module")
def no_hash_seed() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seeds_module, "_HASH_SEED", "")
        yield


def found(source: str, **namespace: Any) -> dict[str, Any]:
    return find_seeds(source, {"np": np, "random": random, **namespace})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("random.seed(1)", {"random": 1}),
        ("random.seed('word')", {"random": "word"}),
        ("random.seed(a=4)", {"random": 4}),
        ("np.random.seed(-2 + 4)", {"numpy": 2}),
        ("rng = np.random.default_rng(3)", {"numpy.default_rng": 3}),
        ("np.random.default_rng([1, 2])", {"numpy.default_rng": [1, 2]}),
        ("np.random.default_rng()", {}),
        ("np.random.RandomState(seed=5)", {"numpy.RandomState": 5}),
        ("np.random.Generator(np.random.PCG64(6))", {"numpy.PCG64": 6}),
        ("random.Random(7).random()", {"random.Random": 7}),
        ("torch.manual_seed(8); torch.cuda.manual_seed_all(8)", {"torch": 8, "torch.cuda": 8}),
        ("g = torch.Generator().manual_seed(9)", {"torch.Generator": 9}),
        ("tf.random.set_seed(10)", {"tensorflow": 10}),
        ("tf.keras.utils.set_random_seed(11)", {"keras": 11}),
        ("import keras as k\nk.utils.set_random_seed(12)", {"keras": 12}),
        ("pl.seed_everything(13, workers=True)", {"lightning": 13}),
        ("from transformers import set_seed\nset_seed(14)", {"transformers": 14}),
        ("jax.random.PRNGKey(15)", {"jax": 15}),
        ("from numpy.random import default_rng as d\nd(16)", {"numpy.default_rng": 16}),
        ("m = KMeans(3, random_state=17).fit(X)", {"KMeans.random_state": 17}),
        ("df.sample(frac=1, random_state=18)", {"sample.random_state": 18}),
        ("xgb.train({'seed': 19, 'eta': 1}, d)", {"seed": 19}),
        ("dict(random_state=20)", {"random_state": 20}),
        ("lgb.LGBMClassifier(seed=21)", {"LGBMClassifier.seed": 21}),
        ("helpers.fix_seeds(22)", {"fix_seeds": 22}),
        ("f(seed=23); f(seed=24); f(seed=23)", {"f.seed": [23, 24]}),
        ("f(random_state=None)", {}),
        ("f(random_state=rng)", {}),
        ("random.seed(time.time())", {}),
        ("wallet(seed='correct horse battery')", {}),
        ("set_seed('a phrase')", {}),
        ("seed_count(None)", {}),
        ("for s in range(3):\n    f(random_state=s)", {"f.random_state": [0, 1, 2]}),
        ("[f(random_state=s + 1) for s in (1, 5)]", {"f.random_state": [2, 6]}),
        ("for s in unknown():\n    f(random_state=s)", {}),
        ("SEED = 1\nf(random_state=SEED)\nSEED = 2\ng(random_state=SEED)",
         {"f.random_state": 1, "g.random_state": 2}),
        ("a, b = 1, 2\nf(random_state=b)", {"f.random_state": 2}),
        ("f(g := 3, random_state=g)", {"f.random_state": 3}),
        ("not python (", {}),
        ("", {}),
    ],
)  # fmt: skip
def test_what_a_cell_seeds(source: str, expected: dict[str, Any]) -> None:
    assert found(source) == expected


def test_values_by_name() -> None:
    class Settings:
        SEED = 4

        @property
        def trap(self) -> int:
            raise KeyboardInterrupt

        def __getattr__(self, name: str) -> int:
            raise KeyboardInterrupt

    values = {
        "SEED": 1,
        "big": np.int64(2),
        "settings": Settings(),
        "Settings": Settings,
        "args": types.SimpleNamespace(seed=5),
        "config": {"seed": 6},
        "params": {"random_state": 7, "n": 1},
        "many": [8, 9],
        "frame": np.zeros(3),
    }
    for expression, expected in {
        "SEED": 1, "SEED + 10": 11, "-SEED": -1, "SEED * 3 - 1": 2, "big": 2, "settings.SEED": 4,
        "Settings.SEED": 4, "args.seed": 5, "config['seed']": 6, "config['other']": None,
        "settings.trap": None, "settings.missing": None, "frame": None, "nobody": None,
        "7 ** 65": None, "9 % 2**2": 1, "3 % 0": None, "2**64 - 1": None,
        "int(SEED)": None, "settings": None,
    }.items():  # fmt: skip
        got = found(f"f(random_state={expression})", **values)
        assert got == ({} if expected is None else {"f.random_state": expected}), expression
    assert found("f(**params)", **values) == {"f.random_state": 7}
    assert found("for s in many:\n    f(seed=s)", **values) == {"f.seed": [8, 9]}


def test_functions_imported_in_an_earlier_cell() -> None:
    from numpy.random import default_rng, seed

    assert found("seed(1)", seed=seed) == {"numpy": 1}
    assert found("seed(1)", seed=random.seed) == {"random": 1}
    assert found("make(1)", make=default_rng) == {"numpy.default_rng": 1}
    assert found("r.seed(1)", r=np.random) == {"numpy": 1}


EVERYTHING = """
def seed_everything(seed=42, deterministic=True):
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
"""


def test_the_notebooks_own_functions() -> None:
    assert found(EVERYTHING) == {}  # It is not called.
    assert found(f"{EVERYTHING}\nseed_everything(3)") == {"numpy": 3, "random": 3, "torch": 3}
    assert found(f"{EVERYTHING}\nseed_everything()") == {"numpy": 42, "random": 42, "torch": 42}
    assert found(f"{EVERYTHING}\nseed_everything(deterministic=1, seed=5)")["random"] == 5
    nested = "def main(s):\n    seed_everything(s + 1)\nmain(10)"
    assert found(f"{EVERYTHING}\n{nested}") == {"numpy": 11, "random": 11, "torch": 11}
    assert found("def f(n):\n    f(n)\n    random.seed(1)\nf(1)") == {"random": 1}
    assert found("def set_seed(s):\n    C_call(s)\nset_seed(2)") == {"set_seed": 2}


def test_functions_that_are_handed_on() -> None:
    source = "def objective(trial):\n    return Model(random_state=7, n=trial)\n"
    functions = {"objective": ast.parse(source).body[0]}
    cell = "study.optimize(objective)"
    assert find_seeds(cell, {}, {"objective", "study"}, functions) == {"Model.random_state": 7}
    assert find_seeds(cell, {}, {"study"}, functions) == {}
    source = "class Trainer:\n    def fit(self, seed):\n        torch.manual_seed(9)\n"
    functions = {"Trainer": ast.parse(source).body[0]}
    assert find_seeds("Trainer().fit(1)", {}, set(), functions) == {"torch": 9}


def run(*cells: str, **namespace: Any) -> dict[str, Any]:
    noted, names = Seeds(), {"np": np, "random": random, **namespace}
    for cell in cells:
        noted.note(cell, names)
    return noted.current()


def test_a_librarys_seed_holds_for_later_cells() -> None:
    assert run("np.random.seed(1)", "x = 1", "model.fit(X)") == {"numpy": 1}
    assert run("np.random.seed(1)", "np.random.seed(2)") == {"numpy": 2}
    assert run("np.random.seed(1)", "np.random.seed()") == {}
    assert run("random.seed(1)", "random.seed(time.time())") == {}
    assert run(EVERYTHING, "seed_everything(1)", "fit()") == {"numpy": 1, "random": 1, "torch": 1}


def test_an_objects_seed_counts_where_it_is_read() -> None:
    split = "train, test = train_test_split(data, random_state=3)"
    expected = {"train_test_split.random_state": 3}
    assert run(split) == expected
    assert run(split, "x = 1") == {}
    assert run(split, "model.fit(train)") == expected
    assert run(split, "scaled = scale(train)", "y = 2", "model.fit(scaled)") == expected
    assert run(split, "train = load()", "model.fit(train)") == {}
    assert run(split, "model.fit(train)", "model.score(other)") == expected
    assert run(split, "model = Model(random_state=4).fit(train)") == expected | {
        "Model.random_state": 4
    }
    assert run("a = f(seed=1)", "b = f(seed=2)", "g(a, b)") == {"f.seed": [1, 2]}
    assert run("rng = np.random.default_rng(5)", "x = rng.normal()") == {"numpy.default_rng": 5}


def test_names_given_from_outside() -> None:
    noted = Seeds()
    noted.note("train = split(data, random_state=3)", {})
    noted.note("%%bash", {})
    assert noted.current() == {}
    assert noted.current({"train"}) == {"split.random_state": 3}


def test_a_cell_that_is_no_python_ends_nothing() -> None:
    assert run("random.seed(1)", "((", "x" * 200_000, "\0") == {"random": 1}


def test_the_seed_of_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds_module, "_HASH_SEED", "0")
    assert found("x = 1") == run("x = 1") == {"PYTHONHASHSEED": 0}
    monkeypatch.setattr(seeds_module, "_HASH_SEED", "random")
    assert found("x = 1") == {}


PIECES = st.sampled_from(
    ["random.seed({})", "f(random_state={})", "x = {}", "for x in {}:\n    f(seed=x)", "f(**{})",
     "def f(x=1, *a, k={}, **o):\n    random.seed(x)", "f({})", "lambda x: f(seed={})",
     "class f:\n    def g(self): random.seed({})", "f(*{})", "[f(seed=x) for x in {}]", "x += {}",
     "x, y = {}"]
)  # fmt: skip
VALUES = st.sampled_from(
    ["1", "x", "f", "(1, 2)", "range(3)", "range(0, 9, 0)", "1.5", "None", "x.y", "x['k']", "'s'",
     "x + x", "-x", "f(1)", "range(10**9)", "f(x, k=x)", "10**9 * 10**9", "{'seed': x}"]
)  # fmt: skip


@settings(max_examples=300)
@given(
    st.lists(st.tuples(PIECES, VALUES), max_size=8), st.sampled_from([1, [1, 2], {"k": 1}, None])
)
def test_no_program_is_too_strange(parts: list[tuple[str, str]], x: Any) -> None:
    cells = [piece.format(value) if "{}" in piece else piece for piece, value in parts]
    assert isinstance(found("\n".join(cells), x=x), dict)
    seeds = run(*cells, x=x)
    assert all(type(v) in (int, str, float, list) for v in seeds.values())


def test_the_cost_of_a_cell() -> None:
    cell = "\n".join(f"model_{n} = Forest(n={n}, random_state={n}).fit(X, y)" for n in range(20))
    noted, took = Seeds(), []
    for _ in range(20):
        began = time.perf_counter()
        noted.note(cell, {})
        noted.current()
        took.append(time.perf_counter() - began)
    assert sorted(took)[5] < 0.02
