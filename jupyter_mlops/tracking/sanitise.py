"""Tables out of captured HTML: an allow-list of elements and attributes, everything else is text.

What a notebook displayed as HTML may hold scripts, styles, forms and links.  Of it only the table
is taken: its elements without attributes but for spans, and its text.
"""

from __future__ import annotations

from html import escape
from html.parser import HTMLParser

__all__ = ["table_of"]

_KEPT = {"table", "thead", "tbody", "tfoot", "tr", "th", "td", "caption", "br"}
_INLINE = {"b", "strong", "i", "em", "code", "sub", "sup"}
_VOID = {"br"}
# Their content is no text to read.
_DROPPED = {"script", "style", "template", "iframe", "object", "svg", "math", "head", "title",
            "noscript", "textarea", "select", "xmp", "plaintext"}  # fmt: skip
_SPANS = ("colspan", "rowspan")
_CELLS = 20_000  # more than anybody reads


class _Table(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.open: list[str] = []
        self.skipped: list[str] = []
        self.cells = 0
        self.cut = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _DROPPED:
            self.skipped.append(tag)
        if self.skipped or self.cut or tag not in _KEPT | _INLINE:
            return
        if tag != "table" and "table" not in self.open:
            return
        if tag in ("td", "th"):
            self.cells += 1
            if self.cells > _CELLS:
                self.cut = True
                return
        spans = "".join(
            f' {name}="{int(value)}"'
            for name, value in attrs
            if name in _SPANS and tag in ("td", "th") and value is not None and _small(value)
        )
        self.parts.append(f"<{tag}{spans}>")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.skipped:
            if tag == self.skipped[-1]:
                self.skipped.pop()
            return
        if tag in self.open:
            while self.open:
                last = self.open.pop()
                self.parts.append(f"</{last}>")
                if last == tag:
                    break

    def handle_data(self, data: str) -> None:
        if not self.skipped and not self.cut and "table" in self.open:
            self.parts.append(escape(data))


def table_of(html: str) -> str:
    """The tables in ``html`` with nothing but cells and text; ``""`` where there are none."""
    parser = _Table()
    try:
        parser.feed(html)
        parser.close()
    except (AssertionError, ValueError):  # what the parser cannot read is left out
        return ""
    parser.parts += [f"</{tag}>" for tag in reversed(parser.open)]
    if parser.cut:
        parser.parts.append("<p>The table goes on.</p>")
    return "".join(parser.parts)


def _small(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= 4 and 0 < int(value) <= 1000
