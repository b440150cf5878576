"""What a terminal would show of a text, and a text that is cut in the middle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.capture.terminal import BoundedText, Screen, strip_ansi


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\rb\n", "b\n"),
        ("  0%\r 50%\r100%\n", "100%\n"),
        ("long line\rshort", "shortline"),
        ("a\r\nb\r\n", "a\nb\n"),
        ("abc\x08\x08X", "aXc"),
        ("bar 1\x1b[2K\rbar 2", "bar 2"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("top\nlow\x1b[A\rTOP\n", "TOP\nlow"),
        ("one\ntwo\x1b[1A\x1b[J\rnew", "new"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x07", "link"),
        ("a\x1b[3Cb", "a   b"),
    ],
)  # fmt: skip
def test_what_a_terminal_shows(text: str, shown: str) -> None:
    whole, pieces = Screen(), Screen()
    whole.feed(text)
    for piece in text.split("\n"):
        pieces.feed(piece)
        pieces.feed("\n")
    assert whole.settled(final=True) == shown
    assert pieces.settled(final=True) == shown + "\n"


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\x08\x1b"))))
def test_plain_text_is_shown_as_it_is(parts: list[str]) -> None:
    screen, taken = Screen(), ""
    for part in parts:
        screen.feed(part)
        taken += screen.settled()
    assert taken + screen.settled(final=True) == "".join(parts)


@given(
    st.lists(st.sampled_from(["a", "\n", "\r", "\x08", "\x1b[A", "\x1b[2K", "\x1b[99B", "\x1b["]))
)
def test_no_sequence_is_too_much(parts: list[str]) -> None:
    screen = Screen()
    for part in parts:
        screen.feed(part)
        screen.settled()
    assert "\r" not in screen.settled(final=True)


def test_escape_sequences_are_stripped() -> None:
    assert strip_ansi("\x1b[0;31mValueError\x1b[0m: \x1b[38;5;241mx\x1b[39m") == "ValueError: x"


@given(st.lists(st.text()), st.integers(1, 200))
def test_a_bounded_text_keeps_both_ends(parts: list[str], limit: int) -> None:
    text = BoundedText(limit)
    for part in parts:
        text.add(part)
    whole = "".join(parts).encode("utf-8", "backslashreplace")
    assert text.size == len(whole)
    if len(whole) <= limit - 1:
        assert text.text().encode() == whole
    shown = text.text()
    assert len(shown.encode()) <= limit + 2 + len(
        f"\n[... {text.cut} of {text.size} bytes were cut ...]\n"
    )
    if text.cut:
        assert f"[... {text.cut} of {text.size} bytes were cut ...]" in shown
