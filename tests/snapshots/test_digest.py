"""Digests: what the format is, and what has none."""

from __future__ import annotations

import datetime as dt
import importlib
import subprocess
import sys
import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse as sp

from jupyter_mlops.snapshots import (
    LEAF_ROWS,
    Refused,
    Undigested,
    digest,
    estimate,
    fingerprint,
    kind_of,
)

from .digesting import BASE, N, ident

# --- What the format is: these never change without a new version of it. ---------------------

GOLDEN: dict[str, tuple[Any, str]] = {
    "frame": (
        lambda: pd.DataFrame({0: np.arange(3, dtype="i8"), 1: [1.5, float("nan"), -0.0]}),
        "e4dd0edd0c10e6b54aa93b6ad09a4f2106a88768aee9bb3fcd6848126dab391f",
    ),
    "object": (
        lambda: pd.Series(
            ["x", None, 1, 2.5, True, b"z", Decimal("1.10"), dt.date(2024, 1, 2)],
            dtype=object,
            name="o",
        ),
        "0fe0cfd7abf2ca68530a16796f29f072f62dd0f5e74f07a49ffd697cdcf9154b",
    ),
    "masked": (
        lambda: pd.Series(pd.array([1, None, 3], dtype="Int64")),
        "d58264ab76956720c1011556a1f612e4c70b82e5ffabe1772c58f7a0d4167bdd",
    ),
    "category": (
        lambda: pd.Series(pd.Categorical([3, 1, None], categories=[1, 2, 3], ordered=True)),
        "bd2758f9a333e9c3a6eb3ac6676f50f34340a2ac26dec11d36677a0426ea6674",
    ),
    "zone": (
        lambda: pd.Series(np.array([0, 1], "M8[s]")).dt.tz_localize("Europe/Berlin"),
        "234ece683962da86f7949d20b431989e52bfd766b74a0f52da4414a3343e7cb7",
    ),
    "multiindex": (
        lambda: pd.Series(
            [1.0, 2.0], pd.MultiIndex.from_tuples([(1, 2), (3, 4)], names=["i", "j"])
        ),
        "8ede7e9abf35a7448c5804f3f6cb28228b396900bdcae5b2e11ae601889643fd",
    ),
    "array": (
        lambda: np.arange(12, dtype="f4").reshape(3, 4),
        "13879d605128f05268e667f69c5d77237b133804017fa49da22790b35bc89bf6",
    ),
    "sparse": (
        lambda: sp.csr_matrix(np.eye(3)),
        "8e97008ba2deb72f0e4b20ed1692faa73fe9c64b12cbfe0e4656cac4f16f866f",
    ),
    "table": (
        lambda: pa.table({"s": pa.array(["ä", None, ""]), "l": pa.array([[1], None, [2, 3]])}),
        "8d5bae8e1481d1a98a931cbd1f7861c340ccff16e7c4031a77aad5d49dd6d149",
    ),
    "nested": (
        lambda: {"train": np.zeros(2), "rows": [1, "two", (3.0, None)], "n": 1},
        "01a3fc7e55259550dde7dffea00d0c4a3c0f169959132a0edb1bb9aed6220ae9",
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_format_is_what_it_was(name: str) -> None:
    make, expected = GOLDEN[name]
    assert ident(make()) == f"blake3:{expected}"


def test_a_tree_made_by_hand_from_the_documentation_has_the_same_root() -> None:
    from blake3 import blake3

    def leaf(*parts: bytes) -> bytes:
        return blake3(
            b"mlops-leaf-1\n" + b"".join(len(p).to_bytes(8, "little") + p for p in parts)
        ).digest()

    def node(header: str, *digests: bytes) -> bytes:
        data = header.encode()
        framed = b"mlops-node-1\n" + len(data).to_bytes(8, "little") + data
        return blake3(framed + b"".join(digests)).digest()

    values = np.arange(N, dtype="<i8").tobytes()
    cut = LEAF_ROWS * 8
    column = node(
        f'{{"children":0,"dtype":"int64","rows":{N}}}', leaf(values[:cut]), leaf(values[cut:])
    )
    index = node(
        '{"children":0,"kind":"pandas.RangeIndex","names":[null],"rows":0,"start":0,"step":1,'
        f'"stop":{N}}}'
    )
    root = node(
        '{"attrs":0,"children":2,"kind":"pandas.Series","name":"n","rows":0}', index, column
    )
    assert ident(pd.Series(np.arange(N, dtype="i8"), name="n")) == f"blake3:{root.hex()}"


def leaves_of(node: Any) -> list[bytes]:
    return [bytes(memoryview(part)) for part in node.leaf(0, node.rows)]


def test_strings_have_the_same_leaves_whatever_holds_them() -> None:
    values_of = importlib.import_module("jupyter_mlops.snapshots.values").node_of
    texts = ["a", "", "äö", "x" * 20]
    kinds = ["object", "str", "string[python]", "string[pyarrow]", pd.ArrowDtype(pa.string())]
    series = [values_of(pd.Series(texts, dtype=kind)).children[1] for kind in kinds]
    types = [pa.string(), pa.large_string(), pa.string_view()]
    arrays = [values_of(pa.array(texts, kind)) for kind in types]
    found = [leaves_of(node) for node in (*series, *arrays)]
    assert all(leaf == found[0] for leaf in found)
    missing = ["a", None, "b"]
    series = [values_of(pd.Series(missing, dtype=kind)).children[1] for kind in kinds[1:]]
    arrays = [values_of(pa.array(missing, kind)) for kind in types]
    found = [leaves_of(node) for node in (*series, *arrays)]
    assert all(leaf == found[0] for leaf in found)


# --- What there is of it ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kind", "rows", "columns"),
    [
        (pd.DataFrame(BASE), "frame", 3, 3),
        (pd.Series([1, 2]), "series", 2, 1),
        (pd.Index([1, 2]), "series", 2, 1),
        (np.zeros((4, 2)), "array", 4, 2),
        (np.zeros(4), "array", 4, None),
        (np.float64(1), "object", None, None),
        (sp.eye(3, format="csr"), "sparse", 3, 3),
        (pa.table({"a": [1]}), "table", 1, 1),
        (pa.array([1, 2]), "series", 2, 1),
        ([1, 2], "object", 2, None),
        ("text", "object", None, None),
        (None, "object", None, None),
    ],
)
def test_a_digest_says_what_it_is_of(
    value: Any, kind: str, rows: int | None, columns: int | None
) -> None:
    found = digest(value)
    assert (found.kind, found.rows, found.columns) == (kind, rows, columns)
    assert kind_of(value) == (None if kind == "object" else kind)
    assert len(found.id) == 71
    assert found.id[:7] == "blake3:"


def test_a_schema_names_each_column_once() -> None:
    frame = pd.DataFrame([[1, 2.0, "x"]], columns=["a", "a", ("b", 1)])
    assert digest(frame).schema == {"a": "int64", "a#2": "float64", "('b', 1)": "str"}


class Plain:
    """A type of the person's own."""


@pytest.mark.parametrize(
    ("value", "column"),
    [
        (pd.DataFrame({"ok": [1], "bad": pd.Series([[1]], dtype=object)}), "bad"),
        (pd.DataFrame({"bad": pd.Series([Plain()], dtype=object)}), "bad"),
        (pd.DataFrame({"bad": np.array([1], dtype=np.longdouble)}), "bad"),
        (Plain(), None),
        ([np.zeros(1), Plain()], None),
        ({"a": {"b": Plain()}}, None),
        (np.ma.masked_array([1], [True]), None),
        (np.zeros(1, dtype=[("a", "i4")]), ""),
        (type("Frame", (pd.DataFrame,), {})({"a": [1]}), None),
        (type("Array", (np.ndarray,), {})(3), None),
        (
            pa.table({"u": pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])}),
            "u",
        ),
        (Ellipsis, None),
    ],
)
def test_what_has_no_canonical_form_is_refused(value: Any, column: str | None) -> None:
    with pytest.raises(Refused) as caught:
        digest(value)
    assert "canonical form" in str(caught.value) or "may hold more" in str(caught.value)
    if column is not None:
        assert caught.value.fields["column"] == column


def test_a_list_that_holds_itself_is_refused() -> None:
    endless: list[Any] = [np.zeros(1)]
    endless.append(endless)
    with pytest.raises(Refused, match="deep"):
        digest(endless)


def test_a_frame_that_breaks_when_it_is_looked_at_is_refused() -> None:
    frame = pd.DataFrame({"a": [1]})
    frame._mgr = None
    with pytest.raises(Refused, match="cannot be read"):
        digest(frame)


def test_a_budget_is_kept_before_and_while() -> None:
    large = np.zeros(30_000_000)
    with pytest.raises(Undigested, match="longer than the 1 ms"):
        digest(large, budget=0.001)
    assert estimate(large) > 0.02
    assert estimate(Plain()) == float("inf")
    slow = pd.Series(["x", 1] * 100_000, dtype=object)
    with pytest.raises(Undigested):
        digest(slow, budget=estimate(slow) / 1e6)
    tree = importlib.import_module("jupyter_mlops.snapshots.tree")
    progress = tree.Progress(deadline=0.0)
    with pytest.raises(Undigested, match="not ready"):
        progress.step()


def test_what_was_seen_is_estimated_as_what_a_look_costs() -> None:
    frame = pd.DataFrame({"a": np.random.default_rng(0).normal(size=1_000_000)})
    before = estimate(frame)
    digest(frame)
    assert estimate(frame) < before / 2
    frame.loc[5, "a"] = 7.0
    assert ident(frame) == ident(frame.copy())


def test_a_change_of_one_value_of_what_was_seen_is_noticed() -> None:
    array = np.zeros(3 * LEAF_ROWS)
    before, mark = ident(array), fingerprint(array)
    array[LEAF_ROWS] = 1e-300
    assert ident(array) != before
    assert fingerprint(array) != mark
    array[LEAF_ROWS] = 0
    assert ident(array) == before
    assert fingerprint(array) == mark


def test_another_process_agrees() -> None:
    code = (
        "import numpy as np, pandas as pd\n"
        "from jupyter_mlops.snapshots import digest\n"
        "f = pd.DataFrame({'a': np.arange(70000.0), 'b': ['x', None] * 35000})\n"
        "print(digest(f).id, digest({'a': {'x', 'y'}, 'b': (1, 2.5)}).id)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    frame = pd.DataFrame({"a": np.arange(70000.0), "b": ["x", None] * 35000})
    assert result.stdout.split() == [ident(frame), ident({"a": {"x", "y"}, "b": (1, 2.5)})]


def test_nothing_is_imported() -> None:
    code = (
        "import sys\nfrom jupyter_mlops.snapshots import digest\ndigest([1, 'a', {'b': 2.5}])\n"
        "assert not {'numpy', 'pandas', 'pyarrow', 'polars', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_rare_plain_values() -> None:
    berlin = pd.Timestamp("2024-03-31 02:30", tz="UTC").tz_convert("Europe/Berlin")
    values = [
        pd.NA, pd.NaT, pd.Timestamp("2024"), pd.Timestamp("2024", tz="UTC"), berlin,
        pd.Timedelta(5, "s"), pd.Period("2024-01", "M"), pd.Interval(0, 1), np.float32(1),
        np.int64(1), np.str_("x"), np.datetime64("2024", "D"), uuid.UUID(int=5), 1 + 2j,
        dt.datetime(2024, 1, 1, tzinfo=dt.UTC), dt.time(1, 2), 10**5000, -(10**30),
    ]  # fmt: skip
    assert len({ident([v]) for v in values}) == len(values)
    assert ident(values) == ident(list(values))


def test_polars() -> None:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"a": [1, None, 3], "b": ["x", None, "y"]})
    assert ident(pl.concat([frame[:1], frame[1:]], rechunk=False)) == ident(frame)
    assert ident(frame.with_columns(a=pl.col("a").fill_null(0))) != ident(frame)
    assert digest(frame).kind == "frame"
    with pytest.raises(Refused, match="plan"):
        digest(frame.lazy())
