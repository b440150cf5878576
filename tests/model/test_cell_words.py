"""A cell in words: its title, and text without terminal sequences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.model.cell_words import title_of, without_colour


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ("x = 1", "x = 1"),
        ("\n\n# Train the model\nmodel.fit(X)", "Train the model"),
        ("# ---------\n# Load\ndf", "Load"),
        ("#%% Load\ndf", "Load"),
        ("%%track --register wine\nC = 0.5", "C = 0.5"),
        ("%%track\n# The fit\nC = 0.5", "The fit"),
        ("%load_ext jupyter_mlops\nimport numpy as np", "import numpy as np"),
        ("%load_ext jupyter_mlops", "%load_ext jupyter_mlops"),
        ("%%bash\nls", "ls"),
        ("a  =   \t1", "a = 1"),
        ("x = '\x1b[31mred\x1b[0m'", "x = 'red'"),
        ("y" * 100, "y" * 69 + "..."),
        ("", ""),
        ("####", ""),
    ],
)
def test_the_title_is_the_first_meaningful_line(source: str, title: str) -> None:
    assert title_of(source) == title


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("\x1b[0;31mNo\x1b[0m", "No"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x07", "link"),
        ("a\r\nb", "a\nb"),
        ("10%\r50%\r100%\nnext", "100%\nnext"),
        ("50%\r", "50%"),
        ("tab\there\nbell\x07", "tab\there\nbell"),
        ("\x9b31mC1", "31mC1"),
    ],
)
def test_terminal_sequences_are_removed(text: str, clean: str) -> None:
    assert without_colour(text) == clean


@given(st.text())
def test_nothing_that_moves_a_cursor_is_left(text: str) -> None:
    clean = without_colour(text)
    assert not any(ord(c) < 32 and c not in "\t\n" for c in clean)
    assert "\x1b" not in clean
    assert "\n" not in title_of(text)
