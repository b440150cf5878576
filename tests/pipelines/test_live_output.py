"""Printed text becomes lines while it comes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.model.ports import CellProgress
from jupyter_mlops.pipelines.live_output import LineFeed


def lines(*pieces: str) -> list[str]:
    found: list[str] = []
    feed = LineFeed(found.append)
    for piece in pieces:
        feed.feed(piece)
    feed.end()
    return found


def test_lines_are_handed_on_when_they_end() -> None:
    found: list[str] = []
    feed = LineFeed(found.append)
    feed.feed("a")
    assert found == []
    feed.feed("b\nc")
    assert found == ["ab"]
    feed.end()
    feed.end()
    assert found == ["ab", "c"]


def test_of_a_progress_bar_the_last_state_is_shown() -> None:
    assert lines("\r 0%", "\r 50%", "\r100%\n", "done\r\n") == ["100%", "done"]
    assert lines("10%\r", "20%\r", "\n") == ["20%"]


def test_a_bar_that_never_ends_keeps_little() -> None:
    found: list[str] = []
    feed = LineFeed(found.append)
    for number in range(5000):
        feed.feed(f"\r{number} of 5000 and some words")
        assert len(feed._rest) < 100
    feed.end()
    assert found == ["4999 of 5000 and some words"]


def test_a_line_without_an_end_is_cut_and_not_kept_for_ever() -> None:
    found = lines(*["x" * 60_000] * 5)
    assert all(len(line) == 4000 for line in found)
    assert len(found) >= 2


def test_what_a_cell_left_open_comes_before_its_end() -> None:
    told: list[object] = []
    feed = LineFeed(told.append)
    on_cell = feed.between(told.append)
    started = CellProgress(0, 1, "started", "a")
    ended = CellProgress(0, 1, "completed", "a")
    on_cell(started)
    feed.feed("open")
    on_cell(ended)
    assert told == [started, "open", ended]


@given(st.lists(st.text(alphabet="ab\n", max_size=5), max_size=8))
def test_how_the_text_is_cut_changes_nothing(pieces: list[str]) -> None:
    assert lines(*pieces) == lines("".join(pieces))


@given(st.lists(st.text(alphabet="ab\r\n", max_size=5), max_size=8))
def test_nor_with_carriage_returns(pieces: list[str]) -> None:
    assert lines(*pieces) == lines("".join(pieces))
