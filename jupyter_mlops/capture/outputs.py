"""What a tracked cell shows: its text, figures, tables and traceback.

The tap listens beside the streams and publishers of the kernel, on the very objects that are in
place when the cell begins, and never between them and the person: each tee calls the original
first, with what it was given, and only then takes note.  What the cell itself captures
(``%%capture``, a ``sys.stdout`` of its own) does not reach the front end and is not kept either.
What other processes write, forked ones included, is seen as far as the kernel passes it on.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .card_values import MIME
from .terminal import BoundedText, Screen, strip_ansi

__all__ = ["Captured", "OutputTap"]

_MOST = 100  # figures, and tables, of one cell
_PENDING = 2 * 1024 * 1024  # characters that wait before they are put together
_FIGURES = (
    ("image/png", "png"),
    ("image/jpeg", "jpg"),
    ("image/svg+xml", "svg"),
    ("application/vnd.plotly.v1+json", "plotly.json"),
)
_VEGA = "application/vnd.vega"
_WIDGET = "application/vnd.jupyter.widget-view+json"
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Captured:
    """One thing that a cell showed.

    ``kind`` is that of ``FileRecord``: ``output``, ``figure``, ``table`` or ``traceback``.
    ``size`` is that of the whole in bytes; ``data`` is less where a text was cut.
    """

    name: str
    kind: str
    data: bytes | str
    size: int


class _Shown:
    """A displayed bundle; ``bundle`` is replaced when the cell updates the display."""

    __slots__ = ("bundle", "printed")

    def __init__(self, bundle: Mapping[str, Any], printed: bool) -> None:
        self.bundle = bundle
        self.printed = printed  # The shell itself has written its text to stdout.


class OutputTap:
    """Listens to one cell's output from ``start`` to ``stop``.

    ``limit`` is the number of bytes kept of each thing.
    """

    def __init__(self, shell: Any, limit: int) -> None:
        self._shell = shell
        self._limit = limit
        self._pid = os.getpid()
        self._active = False
        self._muted = False
        self._tees: list[tuple[Any, str, Any, Any]] = []
        self._folding = threading.Lock()
        self._traceback: list[str] = []
        self._unwatched: dict[str, str] = {}
        self._reset()

    def start(self) -> None:
        """Put the tees in place.  Never raises: ``stop`` names what cannot be listened to."""
        self._active = True
        shell = self._shell
        self._install(sys.stdout, "write", self._stream_tee)
        if sys.stderr is not sys.stdout:
            self._install(sys.stderr, "write", self._stream_tee)
        publisher, hook = getattr(shell, "display_pub", None), getattr(shell, "displayhook", None)
        self._install(publisher, "publish", self._publish_tee)
        self._install(publisher, "clear_output", self._clear_tee)
        self._install(hook, "write_format_data", self._result_tee)
        self._install(shell, "_showtraceback", self._traceback_tee)

    def stop(self) -> tuple[tuple[Captured, ...], dict[str, str]]:
        """Take the tees away; return what was shown, and what was left out (name -> reason).

        ``output.txt`` has stdout and stderr as they came, with the texts of displayed objects and
        of the last expression among them; ``figures/1.png``, ``tables/1.html`` ... and
        ``traceback.txt`` follow.  A text that was cut is in both.  Calling it twice returns nothing
        the second time.
        """
        if not self._active:
            return (), {}
        self._active = False
        for holder, name, own, tee in reversed(self._tees):
            _remove(holder, name, own, tee)
        self._tees.clear()
        try:
            return self._collect()
        except Exception as error:  # The person's objects may be anything.
            return (), {"output.txt": f"{type(error).__name__}: {error}"}

    def _reset(self) -> None:
        self._chunks: list[str | _Shown] = []
        self._pending = 0
        self._screen = Screen()
        self._text = BoundedText(self._limit)
        self._shown: list[_Shown] = []
        self._by_id: dict[str, _Shown] = {}
        self._clear_at_next = False

    # Tees: the original first, then a note, which may fail without anybody noticing.

    def _install(
        self, holder: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]
    ) -> None:
        try:
            own = vars(holder).get(name, _ABSENT)
            tee = make(getattr(holder, name))
            setattr(holder, name, tee)
        except Exception as error:
            self._unwatched[f"{type(holder).__name__}.{name}"] = f"cannot be watched: {error}"
        else:
            self._tees.append((holder, name, own, tee))

    def _listens(self) -> bool:
        return self._active and not self._muted and os.getpid() == self._pid

    def _stream_tee(self, original: Callable[..., Any]) -> Callable[..., Any]:
        pid, get_pid = self._pid, os.getpid

        # The one tee that is called by the hundred thousand: everything is in it.
        def write(*arguments: Any, **named: Any) -> Any:
            answer = original(*arguments, **named)
            try:
                if self._active and not self._muted and get_pid() == pid:
                    text = arguments[0]
                    if text.__class__ is str and text:
                        if self._clear_at_next:
                            self._reset()
                        self._chunks.append(text)
                        self._pending += len(text)
                        if self._pending > _PENDING:
                            self._fold()
            except Exception:  # noqa: S110
                pass
            return answer

        return write

    def _publish_tee(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def publish(*arguments: Any, **named: Any) -> Any:
            chunks, before = self._chunks, len(self._chunks)
            answer = original(*arguments, **named)
            try:
                bundle = arguments[0] if arguments else named["data"]
                if self._listens() and MIME not in bundle:  # Our own card is no output.
                    transient = named.get("transient") or {}
                    self._note_bundle(
                        bundle,
                        _printed(chunks, before, bundle),
                        transient.get("display_id"),
                        update=bool(named.get("update")),
                    )
            except Exception:  # noqa: S110
                pass
            return answer

        return publish

    def _result_tee(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def write_format_data(*arguments: Any, **named: Any) -> Any:
            chunks, before = self._chunks, len(self._chunks)
            answer = original(*arguments, **named)
            try:
                if self._listens():
                    bundle = arguments[0] if arguments else named["format_dict"]
                    self._note_bundle(bundle, _printed(chunks, before, bundle))
            except Exception:  # noqa: S110
                pass
            return answer

        return write_format_data

    def _clear_tee(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def clear_output(*arguments: Any, **named: Any) -> Any:
            answer = original(*arguments, **named)
            try:
                if self._listens():
                    if arguments[0] if arguments else named.get("wait"):
                        self._clear_at_next = True
                    else:
                        self._reset()
            except Exception:  # noqa: S110
                pass
            return answer

        return clear_output

    def _traceback_tee(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def _showtraceback(*arguments: Any, **named: Any) -> Any:
            muted, self._muted = self._muted, True  # Outside of kernels it is printed.
            try:
                answer = original(*arguments, **named)
            finally:
                self._muted = muted
            try:
                if self._listens():
                    self._traceback = [str(part) for part in arguments[2]]
            except Exception:  # noqa: S110
                pass
            return answer

        return _showtraceback

    # Notes.  Threads may write at once: appending is atomic, and nothing here waits for a lock,
    # which a signal handler or a forked child could wait for in vain.

    def _note_bundle(
        self,
        bundle: Mapping[str, Any],
        printed: bool,
        display_id: str | None = None,
        *,
        update: bool = False,
    ) -> None:
        if self._clear_at_next:
            self._reset()
        if update:
            # Displays of other cells are updated where they are.
            if display_id in self._by_id:
                self._by_id[display_id].bundle = bundle
            return
        shown = _Shown(bundle, printed)
        if display_id is not None:
            self._by_id[display_id] = shown
        self._shown.append(shown)
        self._chunks.append(shown)

    def _fold(self) -> None:
        """Put what was noted on the screen and forget it."""
        if not self._folding.acquire(blocking=False):
            return
        try:
            chunks, self._chunks = self._chunks, []
            self._pending = 0
            # What was written between two displays as one text: a loop prints it in many pieces.
            written: list[str] = []
            for chunk in chunks:
                if isinstance(chunk, str):
                    written.append(chunk)
                    continue
                self._screen.feed("".join(written))
                written.clear()
                self._screen.feed(_bundle_text(chunk))
            self._screen.feed("".join(written))
            self._text.add(self._screen.settled())
        finally:
            self._folding.release()

    # What becomes of it.

    def _collect(self) -> tuple[tuple[Captured, ...], dict[str, str]]:
        self._fold()
        self._text.add(self._screen.settled(final=True))
        captured, left_out = [], dict(self._unwatched)
        output = self._text
        if output.size:
            captured.append(Captured("output.txt", "output", output.text(), output.size))
            self._name_cut("output.txt", output, left_out)
        counts = {"figure": 0, "table": 0}
        for shown in self._shown:
            found = _figure(shown.bundle) or _table(shown.bundle)
            if found is None:
                continue
            kind, ending, content = found
            counts[kind] += 1
            name = f"{kind}s/{counts[kind]}.{ending}"
            if counts[kind] > _MOST:
                left_out[f"{kind}s"] = f"{counts[kind] - _MOST} more than {_MOST}"
                continue
            try:
                data = _data(content, ending)
            except Exception as error:
                left_out[name] = f"cannot be read: {type(error).__name__}: {error}"
                continue
            size = len(data) if isinstance(data, bytes) else _size(data)
            if size > self._limit:
                left_out[name] = f"{size} bytes are more than the limit of {self._limit} "
                left_out[name] += "(output-limit)"
                continue
            captured.append(Captured(name, kind, data, size))
        if self._traceback:
            text = BoundedText(self._limit)
            text.add(strip_ansi("\n".join(self._traceback)))
            captured.append(Captured("traceback.txt", "traceback", text.text(), text.size))
            self._name_cut("traceback.txt", text, left_out)
        return tuple(captured), left_out

    def _name_cut(self, name: str, text: BoundedText, left_out: dict[str, str]) -> None:
        if text.cut:
            left_out[name] = f"{text.cut} of {text.size} bytes were cut (output-limit)"


def _remove(holder: Any, name: str, own: Any, tee: Any) -> None:
    try:
        if vars(holder).get(name) is not tee:
            return  # Somebody has put theirs over it, which calls ours, which passes it on.
        if own is _ABSENT:
            delattr(holder, name)
        else:
            setattr(holder, name, own)
    except Exception:  # noqa: S110
        pass


def _printed(chunks: list[str | _Shown], before: int, bundle: Mapping[str, Any]) -> bool:
    """Whether the shell wrote a bundle's text to stdout while it published it."""
    text = bundle.get("text/plain")
    if not isinstance(text, str) or len(chunks) == before:
        return False
    return text in "".join([chunk for chunk in chunks[before:] if isinstance(chunk, str)])


def _bundle_text(shown: _Shown) -> str:
    """The text of a displayed object that is neither figure nor table, as lines of their own."""
    bundle = shown.bundle
    if shown.printed or _WIDGET in bundle or _figure(bundle) or _table(bundle):
        return ""
    text = bundle.get("text/markdown", bundle.get("text/plain"))
    return f"{text}\n" if isinstance(text, str) and text else ""


def _figure(bundle: Mapping[str, Any]) -> tuple[str, str, Any] | None:
    for mime, ending in _FIGURES:
        if mime in bundle:
            return "figure", ending, bundle[mime]
    for mime, content in bundle.items():
        if mime.startswith(_VEGA) and mime.endswith("json"):
            return "figure", "vegalite.json" if "lite" in mime else "vega.json", content
    return None


def _table(bundle: Mapping[str, Any]) -> tuple[str, str, Any] | None:
    content = bundle.get("text/html")
    if not isinstance(content, str) or _WIDGET in bundle or "sk-top-container" in content:
        return None  # Estimators of scikit-learn show themselves with tables of their parameters.
    if "<table" in content:
        return "table", "html", content
    return None


def _data(content: Any, ending: str) -> bytes | str:
    if isinstance(content, (bytes, bytearray)):
        return bytes(content)
    if isinstance(content, str):
        if ending not in ("png", "jpg"):
            return content
        try:
            return base64.b64decode(content, validate=False)
        except binascii.Error as error:
            raise ValueError("not base64") from error
    return json.dumps(content, default=str)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
