from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.errors import UsageError
from jupyter_mlops.model.signature import Column, Signature, Tensor
from jupyter_mlops.serving.csv_input import decode_csv
from jupyter_mlops.serving.enforce import Batch, conform, unsupported, wanted_columns
from jupyter_mlops.serving.payload import Nested, Rows


def one(kind: str, *values: Any, required: bool = True) -> Batch:
    rows = Rows(["x"], [[value] for value in values])
    return conform(rows, Signature(columns=(Column("x", kind, required),)))


def column(kind: str, *values: Any, required: bool = True) -> pd.Series[Any]:
    return one(kind, *values, required=required).frame()["x"]


@pytest.mark.parametrize(
    ("kind", "values", "dtype", "expected"),
    [
        ("double", [1, 2.5, True], "float64", [1.0, 2.5, 1.0]),
        ("double", [2**63], "float64", [2.0**63]),
        ("float", [1, 2.5], "float32", [1.0, 2.5]),
        ("long", [1, 2.0, -(2**63), True], "int64", [1, 2, -(2**63), 1]),
        ("integer", [1, 2.0], "int32", [1, 2]),
        ("boolean", [True, False, 0, 1.0], "bool", [True, False, False, True]),
        ("string", ["a", ""], "str", ["a", ""]),
        ("binary", ["aGk="], "object", [b"hi"]),
        ("any", ["a", 1], "object", ["a", 1]),
        ("datetime", ["2026-01-02"], "datetime64[ns]", [pd.Timestamp("2026-01-02")]),
        (
            "datetime",
            ["2026-01-02T03:04:05.123456789"],
            "datetime64[ns]",
            [pd.Timestamp("2026-01-02T03:04:05.123456789")],
        ),
    ],
)
def test_values_become_the_signature_s(
    kind: str, values: list[Any], dtype: str, expected: list[Any]
) -> None:
    series = column(kind, *values)
    assert series.dtype == dtype
    assert series.tolist() == expected


def test_nulls() -> None:
    assert math.isnan(column("double", None)[0])
    assert column("string", "a", None).isna().tolist() == [False, True]
    assert column("datetime", "2026-01-02", None).isna().tolist() == [False, True]
    assert column("boolean", True, None, required=False).tolist() == [True, None]


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("double", "1.5", "column 'x', row 1: '1.5' is not a number (double)"),
        ("double", {}, "column 'x', row 1: an object is not a number (double)"),
        ("double", 10**400, "column 'x', row 1: 1000"),
        ("float", 1e300, "column 'x', row 1: 1e+300 is not within range (float)"),
        ("long", 1.5, "column 'x', row 1: 1.5 is not an integer (long)"),
        ("long", None, "column 'x', row 1: null is not an integer (long)"),
        ("long", math.nan, "column 'x', row 1: nan is not an integer (long)"),
        ("long", math.inf, "column 'x', row 1: inf is not an integer (long)"),
        ("long", 2**63, "column 'x', row 1: 9223372036854775808 is not within range (long)"),
        ("integer", 2**31, "column 'x', row 1: 2147483648 is not within range (integer)"),
        ("integer", -(2**31) - 1, "column 'x', row 1: -2147483649 is not within range (integer)"),
        ("boolean", "true", "column 'x', row 1: 'true' is not true or false (boolean)"),
        ("boolean", 2, "column 'x', row 1: 2 is not true or false (boolean)"),
        ("boolean", None, "column 'x', row 1: null is not true or false (boolean)"),
        ("string", 1, "column 'x', row 1: 1 is not text (string)"),
        ("string", ["a"], "column 'x', row 1: an array is not text (string)"),
        ("binary", "a", "column 'x', row 1: 'a' is not base64 (binary)"),
        ("datetime", 1, "column 'x', row 1: 1 is not text (datetime)"),
        ("datetime", "01/02/2026", "is not a date and time of ISO 8601 (datetime)"),
        ("datetime", "2026-01-02T00:00:00Z", "time zone"),
    ],
)
def test_what_is_refused_is_named(kind: str, value: Any, message: str) -> None:
    fine = {"boolean": True, "string": "a", "binary": "aGk=", "datetime": "2026-01-02"}
    with pytest.raises(UsageError) as caught:
        one(kind, fine.get(kind, 1), value)
    assert message in str(caught.value)
    assert caught.value.fields["status"] == 400


def test_numbers_of_several_types_share_a_matrix() -> None:
    kinds = {"a": "double", "b": "long", "c": "integer", "d": "float"}
    signature = Signature(columns=tuple(Column(n, k) for n, k in kinds.items()))
    batch = conform(Rows(list("dcba"), [[0.5, 3, 2, 1.5], [1, 6.0, 5, None]]), signature)
    assert batch.matrix is not None
    assert batch.matrix.dtype == "float64"
    np.testing.assert_array_equal(batch.matrix, [[1.5, 2, 3, 0.5], [np.nan, 5, 6, 1]])
    assert [str(t) for t in batch.frame().dtypes] == ["float64", "int64", "int32", "float32"]
    whole = Signature(columns=(Column("a", "long"), Column("b", "integer")))
    matrix = conform(Rows(["a", "b"], [[2**62 + 1, 1]]), whole).matrix
    assert matrix is not None
    assert matrix.tolist() == [[2**62 + 1, 1]]  # exact: it never was a float


def test_columns_that_may_be_left_out() -> None:
    columns = (Column("a", "double"), Column("b", "double", False), Column("c", "string", False))
    signature = Signature(columns=columns)
    frame = conform(Rows(["a"], [[1.0]]), signature).frame()
    assert list(frame.columns) == ["a", "b", "c"]
    assert frame.isna().to_numpy().tolist() == [[False, True, True]]
    assert wanted_columns(signature) == {"a": True, "b": False, "c": False}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a"], "required columns missing: 'b', 'c'"),
        (["a", "b", "d", "e"], "required column missing: 'c'; not in the signature: 'd', 'e'"),
        (["a", "b", "c", "b"], "column 'b' is there twice"),
        (["a", "b", None, 3], "required column missing: 'c'; not in the signature: null, 3"),
        (None, "required columns missing: 'a', 'b', 'c'"),
    ],
)
def test_columns_that_are_missing(names: Any, message: str) -> None:
    signature = Signature(columns=tuple(Column(n, "double") for n in "abc"))
    with pytest.raises(UsageError) as caught:
        conform(Rows(names, [[1.0] * 4]), signature)
    assert str(caught.value) == message


def test_columns_without_names() -> None:
    signature = Signature(columns=(Column(None, "double"), Column(None, "double")))
    for payload in (Rows(None, [[1, 2, 3]]), Rows(["q", "r", "s"], [[1, 2, 3]]), Nested([[1, 2]])):
        matrix = conform(payload, signature).matrix
        assert matrix is not None
        assert matrix.tolist() == [[1.0, 2.0]]
    with pytest.raises(UsageError, match="the rows have 1 values; the model takes 2"):
        conform(Rows(None, [[1]]), signature)
    with pytest.raises(UsageError, match="row 1 is not an array of 2 values"):
        conform(Nested([[1, 2], [1]]), signature)


def test_one_column_takes_a_plain_list() -> None:
    assert one("double", 1.0).names == ("x",)
    signature = Signature(columns=(Column("x", "double"),))
    assert conform(Nested([1, 2]), signature).rows == 2
    assert conform(Nested(3.5), signature).rows == 1


TENSOR = Signature(tensors=(Tensor(None, "float32", (-1, 2)),))


def test_tensors() -> None:
    batch = conform(Nested([[1, None], [2.5, 3]]), TENSOR)
    assert batch.matrix is not None
    assert batch.matrix.dtype == "float32"
    np.testing.assert_array_equal(batch.matrix, np.array([[1, np.nan], [2.5, 3]], "float32"))
    flat = Signature(tensors=(Tensor(None, "int64", (-1,)),))
    assert conform(Rows(["x"], [[1], [2]]), flat).rows == 2
    words = Signature(tensors=(Tensor(None, "str", (-1,)),))
    matrix = conform(Nested(["a", "b"]), words).matrix
    assert matrix is not None
    assert matrix.dtype == object
    flags = conform(Nested([[True, 0]]), Signature(tensors=(Tensor(None, "bool", (-1, 2)),)))
    assert flags.dtypes == ("bool", "bool")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([[1, 2, 3]], "the input has shape (1, 3); the model takes (any, 2)"),
        ([1, 2], "the input is not an array of shape (any, 2)"),
        (1, "the input is not an array of shape (any, 2)"),
        ([[1, 2], [3]], "the input is not an array of shape (any, 2)"),
        ([[1, 2], [3, [4]]], "row 1: an array is not a number (float32)"),
        ([[1, 2], [3, "4"]], "row 1: '4' is not a number (float32)"),
        ([[1, 1e300]], "row 0: 1e+300 is not within range (float32)"),
        ([], "there are no rows to score"),
        ([[], []], "there are no rows to score"),
    ],
)
def test_tensors_of_another_shape(data: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        conform(Nested(data), TENSOR)
    assert str(caught.value) == message


def test_what_cannot_be_served() -> None:
    assert unsupported(TENSOR) is None
    assert unsupported(Signature()) == "it does not say what the model takes"
    assert "nested" in str(unsupported(Signature(columns=(Column("x", "array"),))))
    both = (Column("x", "double"), Column(None, "double"))
    assert "names" in str(unsupported(Signature(columns=both)))
    assert "named" in str(unsupported(Signature(tensors=(Tensor("x", "float64", (-1,)),))))
    assert "complex" in str(unsupported(Signature(tensors=(Tensor(None, "complex128", (-1,)),))))
    assert "sparse" in str(unsupported(Signature(tensors=(Tensor(None, "sparse", (-1,)),))))


# --- CSV ------------------------------------------------------------------------------------------

MIXED = Signature(
    columns=(
        Column("n", "double"),
        Column("i", "long"),
        Column("t", "string"),
        Column("b", "boolean"),
        Column("d", "datetime", False),
    )
)


def csv(text: str | bytes, signature: Signature = MIXED, limit: int = 100) -> Batch:
    body = text.encode() if isinstance(text, str) else text
    return conform(decode_csv(body, signature, limit), signature)


def test_csv_values() -> None:
    text = '\ufefft,z,i,n,b\r\n"a ""b"", c",9,3,NA,TRUE\r\n\r\n"1\n2",9,4.0, 1e3,0\r\n'
    frame = csv(text).frame()
    assert frame["t"].tolist() == ['a "b", c', "1\n2"]
    assert frame["i"].tolist() == [3, 4]
    assert frame["b"].tolist() == [True, False]
    assert math.isnan(frame["n"][0])
    assert frame["n"][1] == 1000.0
    assert frame["d"].isna().all()
    matrix = csv("a,b\n1,2.5\n", TENSOR).matrix
    assert matrix is not None
    assert matrix.tolist() == [[1.0, 2.5]]
    any_ = Signature(columns=(Column("x", "any"), Column("y", "any"), Column("z", "any")))
    assert csv("x,y,z\n1.5,true,word\n", any_).frame().loc[0].tolist() == [1.5, True, "word"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("n,i\n1,2,3\n", "line 2 has 3 values for 2 columns"),
        ('n,i,t,b\n1,2,"x', "not CSV"),
        (b"n,i,t,b\n1,2,\xff,1\n", "not UTF-8"),
        ("n,i,t,b\nfar,2,x,1\n", "column 'n', row 0: 'far' is not a number"),
        ("n,i,t,b\n1_0,2,x,1\n", "column 'n', row 0: '1_0' is not a number"),
        ("n,i,t,b\n1,2.5,x,1\n", "column 'i', row 0: 2.5 is not an integer"),
        ("n,i,t,b\n1,,x,1\n", "column 'i', row 0: null is not an integer"),
        ("n,i,t,b\n1,2,x,maybe\n", "column 'b', row 0: 'maybe' is not true or false"),
        ("n,i,t\n1,2,x\n", "required column missing: 'b'"),
        ("n,i,t,b\n", "there are no rows"),
        ("n,n,i,t,b\n1,1,2,x,1\n", "column 'n' is there twice"),
        ("n,i,t,b\n" + "1,2,x,1\n" * 101, "the limit is 100"),
        ("n,i,t,b\n1,2," + "x" * 200_000 + ",1\n", "not CSV: field larger than"),
    ],
)
def test_csv_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        csv(text)


@given(st.text(max_size=60))
def test_any_csv_is_parsed_or_refused(text: str) -> None:
    for signature in (MIXED, TENSOR):
        try:
            csv(text.encode("utf-8", "surrogatepass"), signature)
        except UsageError:
            continue


@given(st.lists(st.tuples(st.floats(), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=8))
def test_numbers_survive(rows: list[tuple[float, int]]) -> None:
    signature = Signature(columns=(Column("f", "double"), Column("i", "long")))
    frame = conform(Rows(["f", "i"], rows), signature).frame()
    np.testing.assert_array_equal(frame["f"], np.array([f for f, _ in rows]))
