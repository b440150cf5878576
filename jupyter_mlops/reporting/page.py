"""``report.html``: the same as one page that needs nothing beside it, plots included."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping

__all__ = ["data_address", "page"]

_STYLE = """
:root { color-scheme: light dark; --line: #d1d9e0; --soft: #f6f8fa; --text: #1f2328; --dim: #59636e;
  --plus: #dafbe1; --minus: #ffebe9; --back: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --line: #3d444d; --soft: #151b23; --text: #f0f6fc;
  --dim: #9198a1; --plus: #12261e; --minus: #25171c; --back: #0d1117; } }
body { max-width: 900px; margin: 2rem auto; padding: 0 1rem; color: var(--text);
  background: var(--back); font: 14px/1.5 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
h2, h3 { border-bottom: 1px solid var(--line); padding-bottom: .3em; }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow: auto; }
th, td { border: 1px solid var(--line); padding: 6px 13px; }
tr:nth-child(2n) td { background: var(--soft); }
code { background: var(--soft); padding: .2em .4em; border-radius: 6px; font-size: 85%; }
pre { background: var(--soft); padding: 12px; overflow: auto; border-radius: 6px; }
pre code { padding: 0; background: none; }
.add { background: var(--plus); } .del { background: var(--minus); }
details { margin: 1rem 0; } summary { cursor: pointer; font-weight: 600; }
blockquote { margin: 1rem 0; padding: 0 1em; border-left: .25em solid var(--line); }
sub, blockquote { color: var(--dim); } img { max-width: 100%; }
"""


def data_address(content: bytes, file: str) -> str:
    """An image as a ``data:`` address."""
    kind = "jpeg" if file.endswith(".jpg") else "png"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def page(markdown: str, title: str) -> str:
    """The Markdown of a report as an HTML page, light and dark."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    parser.add_render_rule("fence", _fence)
    return (
        '<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style>\n"
        f"<body>\n{parser.render(markdown)}</body></html>\n"
    )


def _fence(
    self: object, tokens: list[object], index: int, options: object, env: Mapping[str, object]
) -> str:
    token = tokens[index]
    text, language = token.content, token.info.strip()  # type: ignore[attr-defined]
    lines = text.rstrip("\n").split("\n")
    if language != "diff":
        return f"<pre><code>{html.escape(chr(10).join(lines))}</code></pre>\n"
    shown = []
    for line in lines:
        kind = {"+": "add", "-": "del"}.get(line[:1], "")
        escaped = html.escape(line)
        shown.append(f'<span class="{kind}">{escaped}</span>' if kind else escaped)
    return f"<pre><code>{chr(10).join(shown)}</code></pre>\n"
