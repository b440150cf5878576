"""The comment and the summary: what they say, and that nothing in a run becomes markup."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from jupyter_mlops.reporting import Beside, Spread, comment, job_summary, marker, page
from jupyter_mlops.reporting.markdown import COMMENT_LIMIT

from .conftest import cell, failed, run

OURS = {
    "h2", "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "sub", "img", "details",
    "summary", "code", "pre", "strong", "b", "ul", "li", "blockquote", "em", "a",
}  # fmt: skip


class Seen(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


def rendered(markdown: str) -> Seen:
    seen = Seen()
    seen.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown))
    seen.close()
    return seen


def test_a_comment_begins_with_its_mark() -> None:
    assert comment([run()], Beside(), "wine").startswith("<!-- jupyter-mlops:wine -->\n")
    assert marker("a -->\n<b>") == "<!-- jupyter-mlops:a-b- -->"


def test_metrics_stand_beside_those_of_the_base() -> None:
    base = run(metrics={"accuracy": 0.8, "rmse": 1.9, "old": 1.0})
    head = run(
        metrics={"accuracy": 0.9, "rmse": 2.0, "new": 3.0},
        spreads={"rmse": Spread((2.0, 2.1, 1.9))},
    )
    text = comment([head], Beside({"wine": base}, "main"), "wine")
    assert "| accuracy | 0.8 | **0.9** | +0.1 | ✔ better |" in text
    assert "| rmse | 1.9 | 2 | +0.1 ± 0.61 | ≈ within tolerance |" in text
    assert "| new | – | 3 | – | new |" in text
    assert "| old | 1 | – | – | ✘ gone |" in text
    assert "learned from repeated runs" in text


def test_a_failure_says_where_and_shows_the_traceback() -> None:
    seen = rendered(comment([failed()], Beside(), "wine"))
    assert "✘ wine failed after 3.0 s" in seen.text
    assert "cell [2], line 2" in seen.text
    assert "ValueError: bad | <b>value</b>" in seen.text
    assert "b" not in seen.tags[:1]
    assert "Cell In[2], line 2" in seen.text


def test_plots_need_an_address() -> None:
    without = comment([run()], Beside(), "wine")
    assert "<img" not in without
    assert "1 plot in the report" in without
    there = Beside(image=lambda image: f"https://example.org/{image.file}?a=1&b=2")
    (image,) = rendered(comment([run()], there, "wine")).images
    assert image["src"] == "https://example.org/images/wine-train-2-1.png?a=1&b=2"
    assert image["alt"] == "train [2] plot()"


def test_code_data_and_parameters_that_changed_are_shown() -> None:
    base = run(params={"depth": 2}, texts={"pipelines/wine/lib.py": "a = 1\n"})
    base = replace(
        base,
        steps=(base.steps[0], replace(base.steps[1], cells=(cell(1, "fit(1)"), cell(2, "plot()")))),
        data=(replace(base.data[0], digest="blake3:0", rows=9, columns={"b": "int64"}),),
    )
    head = run(texts={"pipelines/wine/lib.py": "a = 2\n"})
    seen = rendered(comment([head], Beside({"wine": base}), "wine"))
    assert "Code: 1 cell changed in pipelines/wine/train.ipynb" in seen.text
    assert "-fit(1)\n+fit()" in seen.text
    assert "-a = 1\n+a = 2" in seen.text
    assert "9 → 10 rows (+1); column a is new (int64); column b is gone" in seen.text
    assert "Parameters: 1 value changed" in seen.text


def test_the_same_run_beside_itself_has_nothing_changed() -> None:
    text = comment([run()], Beside({"wine": run()}), "wine")
    assert "Code:" not in text
    assert "Data:" not in text
    assert text.count("= same") == 2


def test_what_is_too_long_is_left_out_and_the_comment_says_so() -> None:
    many = [run(name=f"p{i}", warnings=("w" * 500,) * 20) for i in range(20)]
    text = comment(many, Beside(artifacts="here"), "pipelines")
    assert len(text) <= COMMENT_LIMIT
    assert "did not fit" in text
    assert text.endswith("<sub>here</sub>\n")
    assert "did not fit" not in comment(many[:2], Beside(), "pipelines")


def test_a_summary_of_several_begins_with_all_of_them() -> None:
    text = job_summary([run(), failed()], Beside())
    assert text.splitlines()[2] == "| ✘ | wine | 3.0 s | failed after 3.0 s |"
    assert text.splitlines()[3] == "| ✔ | wine | 3.0 s | finished in 3.0 s |"
    assert "| [2] | ✘ |" in text


def test_a_proof_and_gates() -> None:
    made = run(
        proof={"verdict": "differs", "reasons": ["accuracy: tracked 0.9, now 0.8"]},
        gates=({"name": "good", "passed": False, "message": "too low"},),
    )
    seen = rendered(comment([made], Beside(), "wine"))
    assert "✘ Differs from its proof" in seen.text
    assert "accuracy: tracked 0.9, now 0.8" in seen.text
    assert "too low" in seen.text


def test_the_page_needs_nothing_beside_it() -> None:
    text = page(job_summary([run()], Beside(image=lambda i: "data:image/png;base64,AA==")), "a<b")
    assert "<title>a&lt;b</title>" in text
    assert 'src="data:image/png;base64,AA=="' in text
    assert not re.search(r'(?:src|href)="(?!data:)', text)


nasty = st.text(max_size=40) | st.sampled_from(
    ["</code><script>x</script>", "| a | b |", "```\n<img src=x>", "](x)", "@everyone", "<!-- a",
     "</details>", "&lt;script&gt;", "\n\n# head", "`<b>`", "~~~\n<s>"]
)  # fmt: skip


@settings(max_examples=60)
@given(a=nasty, b=nasty, c=nasty)
def test_nothing_that_a_run_says_is_markup(a: str, b: str, c: str) -> None:
    error = {"ename": a, "evalue": b, "traceback": c, "output": a, "line": b, "cell": 1}
    made = replace(
        failed(),
        name=a or "n",
        params={b or "p": c},
        metrics={a or "m": 1.0},
        warnings=(b,),
        command=c,
        proof={"verdict": "differs", "reasons": [a, c]},
        gates=({"name": a, "passed": False, "message": b},),
        steps=tuple(
            replace(s, name=b, notebook=c, error=error, cells=(cell(1, a), cell(2, b, "failed")))
            for s in failed().steps
        ),
    )
    base = replace(made, metrics={}, params={b or "p": a}, steps=run().steps, data=())
    beside = Beside({made.name: base}, c, lambda image: f"https://x/{a}")
    plain = rendered(job_summary([made], beside))
    assert set(plain.tags) <= OURS
    assert plain.tags.count("details") == plain.tags.count("summary")
