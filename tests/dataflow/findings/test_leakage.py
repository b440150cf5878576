"""NB007, NB008 and the leakage rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.dataflow.findings import RULES, cells_of, check
from tests.dataflow.findings.books import IMPORTS, book, findings, found, session

LOAD = 'df = pd.read_csv("a.csv")\nX = df.drop(columns="y")\ny = df["y"]'
SPLIT = "X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)"
FIT = "model = Ridge().fit(X_train, y_train)\nmodel.score(X_test, y_test)"

CLEAN = {
    "split, then a pipeline": [LOAD, SPLIT, "m = make_pipeline(StandardScaler(), Ridge())\n"
                               "m.fit(X_train, y_train)\nm.score(X_test, y_test)"],
    "split, then a scaler of the training rows": [
        LOAD, SPLIT, "s = StandardScaler().fit(X_train)\nX_train = s.transform(X_train)\n"
        "X_test = s.transform(X_test)", FIT],
    "fit_transform of the training rows": [
        LOAD, SPLIT, "s = StandardScaler()\nA = s.fit_transform(X_train)\nB = s.transform(X_test)",
        "m = Ridge().fit(A, y_train)\nm.score(B, y_test)"],
    "a search over a pipeline": [
        LOAD, SPLIT, "g = GridSearchCV(make_pipeline(SimpleImputer(), Ridge()), {})\n"
        "g.fit(X_train, y_train)\ng.score(X_test, y_test)"],
    "the components are only drawn": [
        LOAD, "P = PCA(2, random_state=0).fit_transform(X)", SPLIT, FIT],
    "features by name": ['df = pd.read_csv("a.csv")', 'FEATURES = ["a", "b"]\nX = df[FEATURES]\n'
                         'y = df["y"]', SPLIT, FIT],
    "all columns but the target": [
        'df = pd.read_csv("a.csv")', 'TARGET = "y"\n'
        "X = df[[c for c in df.columns if c != TARGET]]\ny = df[TARGET]", SPLIT, FIT],
    "the target was taken out": ['df = pd.read_csv("a.csv")', 'y = df.pop("y")', "X = df", SPLIT,
                                 FIT],
    "a column of others": [
        'df = pd.read_csv("a.csv")', 'df["area"] = df["w"] * df["h"]', 'y = df["y"]\n'
        'X = df.drop(columns=["y"])', SPLIT, FIT],
    "made after the features were taken": [LOAD, 'df["logy"] = np.log(df["y"])', SPLIT, FIT],
    "a log target": ['df = pd.read_csv("a.csv")', 'df["ly"] = np.log(df["y"])\ny = df["ly"]\n'
                     'X = df.drop(columns=["y", "ly"])', SPLIT, FIT],
    "refitted on everything at the end": [
        LOAD, SPLIT, FIT, "final = Ridge()\nfinal.fit(X, y)", "final.predict(X[:5])"],
    "the training score": [
        LOAD, SPLIT, "m = Ridge().fit(X_train, y_train)\nm.score(X_train, y_train)"],
    "disjoint slices": [LOAD, "m = Ridge().fit(X[:80], y[:80])\nm.score(X[80:], y[80:])"],
    "oversampled after the split": [
        LOAD, SPLIT, "A, b = resample(X_train, y_train, random_state=0)\nm = Ridge().fit(A, b)\n"
        "m.score(X_test, y_test)"],
    "sample and rest": [
        'df = pd.read_csv("a.csv")', "train = df.sample(frac=0.8, random_state=0)\n"
        "test = df.drop(train.index)", 'm = Ridge().fit(train[["a"]], train["y"])\n'
        'm.score(test[["a"]], test["y"])'],
    "the other model of the name": [
        LOAD, SPLIT, "m = Ridge().fit(X, y)", "m = Ridge().fit(X_train, y_train)",
        "m.score(X_test, y_test)"],
    "a function that nobody knows": [LOAD, "X = prepare(X)", SPLIT, FIT],
    "filled with a number": [LOAD, "X = X.fillna(0)", SPLIT, FIT],
    "a support vector machine": [
        IMPORTS + "from sklearn.svm import SVC", LOAD, SPLIT, "m = SVC()\nm.fit(X_train, y_train)"],
    "a data set as two": [
        "from sklearn.datasets import load_iris\nX, y = load_iris(return_X_y=True, as_frame=True)",
        SPLIT, FIT],
    "a look at some rows": ['df = pd.read_csv("a.csv")', "df.sample(5)"],
}  # fmt: skip

LEAKS = {
    "a data set as two, fitted on both parts and asked in a text": (
        ["from sklearn.datasets import load_iris\nX, y = load_iris(return_X_y=True)", SPLIT,
         "m = Ridge()\nm.fit(X, y)", 'print(f"{m.score(X_test, y_test):.2f}")'], [("NB103", 3)]),
    "scaled before the split": (
        [LOAD, "X = StandardScaler().fit_transform(X)", SPLIT, FIT], [("NB101", 2)]),
    "fit, then transform": (
        [LOAD, "s = StandardScaler()\ns.fit(X)\nX = s.transform(X)", SPLIT], [("NB101", 2)]),
    "of one column": (
        ['df = pd.read_csv("a.csv")', 'df["a"] = SimpleImputer().fit_transform(df[["a"]])',
         'X = df[["a", "b"]]\ny = df["y"]', SPLIT], [("NB101", 2)]),
    "wrapped in a frame": (
        [LOAD, "X = pd.DataFrame(StandardScaler().fit_transform(X), columns=X.columns)", SPLIT],
        [("NB101", 2)]),
    "selected before cross-validation": (
        [LOAD, "best = SelectKBest(k=3).fit_transform(X, y)", "cross_val_score(Ridge(), best, y)"],
        [("NB101", 2)]),
    "fitted on all, applied to the parts": (
        [LOAD, SPLIT, "s = StandardScaler().fit(X)\nA = s.transform(X_train)"], [("NB101", 3)]),
    "filled with the mean": (
        ['df = pd.read_csv("a.csv")', 'df["a"] = df["a"].fillna(df["a"].mean())',
         'X = df[["a"]]\ny = df["y"]', SPLIT], [("NB101", 2)]),
    "standardised by hand": (
        [LOAD, "X = (X - X.mean()) / X.std()", SPLIT], [("NB101", 2)]),
    "target among all columns": (
        ['df = pd.read_csv("a.csv")', 'X = df\ny = df["y"]', SPLIT], [("NB102", 3)]),
    "target among named ones": (
        ['df = pd.read_csv("a.csv")', 'X = df[["a", "y"]]\ny = df["y"]',
         "m = Ridge()\nm.fit(X, y)"], [("NB102", 3)]),
    "a feature computed from it": (
        ['df = pd.read_csv("a.csv")', 'df["dear"] = df["price"] > 100\n'
         'df["class"] = df["dear"].astype(int)', 'X = df.drop(columns="price")\ny = df["price"]',
         SPLIT], [("NB102", 4)]),
    "its mean by group": (
        ['df = pd.read_csv("a.csv")', 'df["m"] = df.groupby("town")["y"].transform("mean")',
         'X = df.drop(columns="y")\ny = df["y"]', SPLIT], [("NB102", 4)]),
    "its logarithm": (
        ['df = pd.read_csv("a.csv")', 'df["ly"] = np.log(df["y"])', 'X = df.drop(columns="ly")\n'
         'y = df["ly"]', SPLIT], [("NB102", 4)]),
    "fitted on all": (
        [LOAD, SPLIT, "m = Ridge().fit(X, y)", "m.score(X_test, y_test)"], [("NB103", 3)]),
    "fitted on the test rows": (
        [LOAD, SPLIT, "m = Ridge().fit(X_test, y_test)\nm.score(X_test, y_test)"], [("NB103", 3)]),
    "fitted on both": (
        [LOAD, SPLIT, "m = Ridge()\n"
         "m.fit(pd.concat([X_train, X_test]), pd.concat([y_train, y_test]))",
         "m.predict(X_test)"], [("NB103", 3)]),
    "overlapping slices": (
        [LOAD, "m = Ridge().fit(X[:80], y[:80])\nm.score(X[70:], y[70:])"], [("NB103", 2)]),
    "a validation part of the training rows": (
        [LOAD, SPLIT, "A, V, b, v = train_test_split(X_train, y_train, random_state=1)",
         "m = Ridge().fit(X_train, y_train)\nm.score(V, v)"], [("NB103", 4)]),
    "oversampled before the split": (
        [LOAD, "X, y = resample(X, y, random_state=0)", SPLIT], [("NB103", 2)]),
    "a support vector machine that says how sure it is": (
        [IMPORTS + "from sklearn.svm import SVC", LOAD, SPLIT, "m = SVC(probability=True)",
         "m.fit(X_train, y_train)"], [("NB007", 5)]),
    "unseeded": (
        [LOAD, "a, b = train_test_split(X)", "m = RandomForestClassifier()\nm.fit(a, a)"],
        [("NB007", 2), ("NB007", 3)]),
}  # fmt: skip


@pytest.mark.parametrize("name", CLEAN)
def test_what_is_done_right_has_no_finding(name: str) -> None:
    assert found([IMPORTS, *CLEAN[name]]) == []


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_found_where_it_is(name: str) -> None:
    sources, expected = LEAKS[name]
    assert found([IMPORTS, *sources]) == expected
    # Two at once, as where the rows are split again, are told once.
    assert found([IMPORTS, *sources], [*range(len(sources) + 1)] * 2, rules=_LEAKS) == [
        f for f in expected if f[0] in _LEAKS
    ]


_LEAKS = frozenset({"NB101", "NB102", "NB103"})


def test_a_leak_names_the_split() -> None:
    (leak,) = [f for f in findings([IMPORTS, *LEAKS["scaled before the split"][0]])
               if f.rule == "NB101"]  # fmt: skip
    assert (
        leak.message == "StandardScaler learns from all rows before train_test_split() parts them"
    )
    assert (leak.line, leak.related[0].cell) == (1, 3)


def test_a_file_is_read_without_a_snapshot() -> None:
    def paths(*sources: str, **how: object) -> list[tuple[str, int, str]]:
        all_of = findings(["import pandas as pd", *sources], **how)  # type: ignore[arg-type]
        return [(f.rule, f.cell, f.names[0]) for f in all_of]

    read = 'df = pd.read_csv("data/a.csv")'
    assert paths(read) == [("NB008", 1, "data/a.csv")]
    assert paths(read, "%snapshot df -n a") == []
    assert paths('%snapshot Path("data/a.csv")\n' + read) == []
    assert paths(read, kept=lambda path: path == "data/a.csv") == []
    assert paths('pd.read_parquet("snapshot://a@3")') == []
    assert paths('df.to_csv("out.csv")\nx = 1', 'pd.read_csv("out.csv")') == []
    assert paths('df = pd.read_csv("https://example.org/a.csv")') == []


def test_files_that_only_the_session_saw() -> None:
    cells = book("df = load()")
    events = session(
        cells, [(0, "df = load()", {"v": 1, "files_read": ["/d/a.parquet", "/d/f.so"]})]
    )
    assert [f.names for f in check(cells, events)] == [("/d/a.parquet",)]


_WORDS = st.sampled_from(
    ["df", "x", "X", "y", "train_test_split", "fit", "(", ")", "[", "]", "=", "+=", ".", ",", ":",
     "\n", " ", "'a'", "1", "for", "in", "def f", "%time", "!ls", "%%bash", "import", "return",
     "lambda", "await", "#", "\x00", "é", "drop", "inplace=True", "append", "del", "global x"]
)  # fmt: skip


@given(st.lists(st.lists(_WORDS, max_size=12).map("".join), max_size=5), st.data())
def test_no_text_makes_it_fail(sources: list[str], data: st.DataObject) -> None:
    runs = data.draw(st.lists(st.integers(0, max(0, len(sources) - 1)), max_size=8))
    cells = book(*sources)
    for finding in check(cells, session(cells, runs if sources else [])):
        assert finding.rule in RULES
        assert 0 <= finding.cell < len(cells)
        assert finding.line >= 1
        assert finding.column >= 1
    check(None, session(cells, runs if sources else []))


def test_deep_nesting_is_passed_over() -> None:
    deep = "x = " + "(" * 60 + "1" + ")" * 60 + "".join(f" + {n}" for n in range(3000))
    assert check(book(deep, "y = x")) == ()


@pytest.mark.parametrize(
    ("content", "reason"),
    [({}, "no cells"), ({"worksheets": []}, "before nbformat 4"), ({"cells": [3]}, "cell 1"),
     ({"cells": [{"cell_type": "code", "source": 4}]}, "cell 1")],
)  # fmt: skip
def test_what_is_no_notebook_is_named(content: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        cells_of(content)


def test_cells_keep_their_position_among_all() -> None:
    cells = cells_of(
        {
            "cells": [
                {"cell_type": "markdown", "source": "# A"},
                {"cell_type": "code", "id": "b", "source": ["x = 1\n", "y"], "execution_count": 4},
                {"cell_type": "code", "source": "z", "outputs": [{"output_type": "error"}]},
            ]
        }
    )
    assert [(c.position, c.id, c.count, c.label) for c in cells] == [
        (1, "b", 4, "cell [4]"),
        (2, None, None, "cell 3"),
    ]
    assert cells[0].source == "x = 1\ny"
    assert cells[1].failed
