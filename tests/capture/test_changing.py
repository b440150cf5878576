"""Which names a cell changes by what its source says."""

from __future__ import annotations

import pytest

from jupyter_mlops.capture.cellcode import read_cell
from jupyter_mlops.capture.changing import changing_names


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("df['a'] = 1", {"df"}),
        ("df.loc[0, 'a'] = 1", {"df"}),
        ("df.columns = ['a']", {"df"}),
        ("del df['a']", {"df"}),
        ("x += 1", {"x"}),
        ("df.dropna(inplace=True)", {"df"}),
        ("df.dropna(inplace=False)", set()),
        ("df.drop(columns='a', inplace=flag)", {"df"}),
        ("rows.append(1)", {"rows"}),
        ("cache['k'].update(a=1)", {"cache"}),
        ("np.multiply(a, b, out=c)", {"c"}),
        ("rng.shuffle(order)", {"rng", "order"}),
        ("y = df.mean()", {"y"}),
        ("model.fit(X, y)", set()),
        ("print(df)", set()),
        ("not python (", set()),
    ],
)
def test_what_is_written_as_a_change_counts(source: str, names: set[str]) -> None:
    assert changing_names(source, read_cell(source)) == names
