"""The exported page: everything of a run, nothing that runs, no secrets."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.config import Config
from jupyter_mlops.errors import ConflictError, ProjectError, UsageError
from jupyter_mlops.model.events import FileRecord, InputRecord
from jupyter_mlops.project import Project
from jupyter_mlops.tracking import export_run
from jupyter_mlops.tracking.sanitise import table_of

from .rich import HOSTILE, PNG, TABLE, environment, pair
from .sessions import Session

CONFIG = Config()
SECRET = "hunter2-correct-horse"


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def exported(project: Project, run: str = "last") -> tuple[str, Page]:
    path = export_run(project, CONFIG, run, project.root / "run.html", force=True)
    text = path.read_text(encoding="utf-8")
    return text, Page(text)


def everything(project: Project, secret: str = "") -> Session:
    runs = pair(project)
    known = environment(runs.session)
    runs.session.run(
        HOSTILE,
        status="FAILED",
        source=f"%%track\nname = '{secret}'\nif 1 < 2:\n    fit()",
        params={HOSTILE: HOSTILE, "word": secret},
        metrics={HOSTILE: 1.0, "auc": float("nan"), "inf": float("inf")},
        series={HOSTILE: [[float(i), 1.0 / (i + 1), 1.0] for i in range(2000)]},
        hyperparameters={f"{HOSTILE}.C": 1.0},
        inputs=(InputRecord(HOSTILE, "file", source=HOSTILE, reason=HOSTILE),),
        seeds={HOSTILE: 1},
        modules={HOSTILE: "0" * 64},
        resources={"wall_seconds": 1.5, "peak_memory_bytes": 2e9},
        left_out={HOSTILE: HOSTILE},
        warnings=(HOSTILE,),
        environment=known.digest,
        error={"ename": "ValueError", "evalue": f"\x1b[31mnot {secret}\x1b[0m {HOSTILE}"},
        git_commit="c" * 40,
        files=(
            FileRecord("output.txt", text=f"\x1b[1mepoch\x1b[0m {secret} {HOSTILE}", kind="output",
                       size=9000),
            FileRecord("trace.txt", text=f"Traceback\n  {HOSTILE}", kind="traceback"),
            FileRecord("tables/1.html", text=TABLE, kind="table"),
            FileRecord("figures/1.png", runs.session.blobs.put(PNG), len(PNG), "figure"),
            FileRecord("figures/2.svg", kind="figure",
                       text="<svg xmlns='http://www.w3.org/2000/svg' onload='x()'></svg>"),
            FileRecord("figures/no.png", kind="figure", text="<script>alert(1)</script>"),
            FileRecord("changes.diff", text=f"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+{HOSTILE}",
                       kind="code"),
            FileRecord("big.png", blob="0" * 64, size=11 * 1024 * 1024, kind="figure"),
            FileRecord("gone.png", blob="0" * 64, size=1, kind="figure"),
        ),
    )  # fmt: skip
    return runs.session


def test_everything_is_on_the_page_and_nothing_of_it_runs(project: Project) -> None:
    everything(project)
    text, page = exported(project)
    for word in (
        HOSTILE, "FAILED", "ValueError", "epoch", "Traceback", "fit()", "4.25", "numpy==2.1.0",
        "uv pip install -r", "figures/1.png", "too large for a page", "gone.png", "cccccccccccc",
        "peak memory", "2 GB", "scikit-learn", "work.ipynb", "Not all of 9 kB", "no picture",
    ):  # fmt: skip
        assert word in page.text, word
    allowed = {
        *("html", "head", "meta", "title", "style", "body", "main", "footer", "section", "h1"),
        *("h2", "div", "span", "p", "dl", "dt", "dd", "pre", "code", "table", "thead", "tbody"),
        *("tr", "th", "td", "figure", "figcaption", "img", "svg", "path", "text", "details"),
        *("summary", "strong"),
    }
    assert {tag for tag, _ in page.elements} <= allowed
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        assert "href" not in attributes
        if tag == "img":
            kind = str(attributes["src"])[:22]
            assert kind.startswith(("data:image/png;base64,", "data:image/svg+xml;bas"))
    policy = [a for t, a in page.elements if t == "meta" and "http-equiv" in a]
    assert str(policy[0]["content"]).startswith("default-src 'none'")
    assert [a["alt"] for t, a in page.elements if t == "img"] == ["figures/1.png", "figures/2.svg"]
    assert "\x1b" not in text
    assert "prefers-color-scheme: dark" in text
    assert len(text) < 100_000


def test_secrets_are_replaced_once_more(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    everything(project, SECRET)
    # It was no secret when the run was written: now it is one.
    assert SECRET in exported(project)[0]
    monkeypatch.setenv("DB_PASSWORD", SECRET)
    text, page = exported(project)
    assert SECRET not in text
    assert "***[" in page.text
    assert "epoch" in page.text


def test_the_file_is_whole_or_not_there(project: Project, tmp_path: Path) -> None:
    pair(project)
    target = tmp_path / "out" / "run.html"
    with pytest.raises(ProjectError, match="cannot be written"):
        export_run(project, CONFIG, "last", target)
    target.parent.mkdir()
    assert export_run(project, CONFIG, "last", target) == target
    target.write_text("mine")
    with pytest.raises(ConflictError):
        export_run(project, CONFIG, "last", target)
    assert target.read_text() == "mine"
    with pytest.raises(UsageError, match="is a folder"):
        export_run(project, CONFIG, "last", tmp_path)
    assert [path.name for path in target.parent.iterdir()] == ["run.html"]


def test_a_run_of_which_little_is_known_says_so(project: Project) -> None:
    session = Session(project)
    session.run("bare", source=None, params={}, metrics={})
    _, page = exported(project)
    assert "bare" in page.text
    assert "Source" not in page.text


@pytest.mark.parametrize(
    ("html", "kept"),
    [
        ("<p>no table</p>", ""),
        ("<table><tr><td>a<script>x</script>b</td></tr></table>",
         "<table><tr><td>ab</td></tr></table>"),
        ("<table><tr><td onclick=x style=y colspan=2 rowspan=99999>&lt;b&gt;</td></tr></table>",
         '<table><tr><td colspan="2">&lt;b&gt;</td></tr></table>'),
        ("<table><tr><td><a href='javascript:x'>link</a><img src=x onerror=y></td></tr>",
         "<table><tr><td>link</td></tr></table>"),
        ("<table><caption>c</caption><tr><th>h</th></table></table></div>",
         "<table><caption>c</caption><tr><th>h</th></tr></table>"),
        ("<style>td{}</style><table><tr><td><svg><a>x</a></svg>y</td></tr></table>",
         "<table><tr><td>y</td></tr></table>"),
    ],
)  # fmt: skip
def test_of_captured_html_only_the_table_stays(html: str, kept: str) -> None:
    assert table_of(html) == kept


@given(st.lists(st.sampled_from(
    ["<table>", "</table>", "<tr>", "<td>", "</td>", "<script>", "</script>", "<img src=x>", "&lt;",
     "<", ">", "x", "<!--", "-->", "<![CDATA[", "<b>", "</b>", "<svg/>", "\0", '<td a="', '"']),
    max_size=30))  # fmt: skip
def test_no_order_of_tags_lets_anything_else_through(parts: list[str]) -> None:
    made = table_of("".join(parts))
    tags = re.findall(r"<(/?)([^>]*)>", made)
    assert {name for _, name in tags} <= {"table", "tr", "td", "b"}
    open_tags: list[str] = []
    for closing, name in tags:
        if closing:
            assert open_tags.pop() == name
        else:
            open_tags.append(name)
    assert not open_tags
