"""Write docs/findings.md: what goes before, then the rules' own docstrings.

``python scripts/write_findings.py`` after a rule's docstring was changed; a test compares.
"""

from __future__ import annotations

from pathlib import Path

from jupyter_mlops.dataflow.findings import RULES, SEVERITIES, describe, title

PAGE = Path(__file__).resolve().parent.parent / "docs" / "findings.md"
_FIRST_RULE = "## The rules"


def rules_section() -> str:
    """The part of the page that comes from the docstrings."""
    rows = [f"| [{rule}](#{rule.lower()}) | {SEVERITIES[rule]} | {title(rule)} |" for rule in RULES]
    parts = [_FIRST_RULE, "", "| rule | severity | |", "|---|---|---|", *rows]
    for rule in RULES:
        first, _, rest = describe(rule).partition("\n")
        parts += ["", f"### {rule}", "", f"*{first}*", "", rest.strip()]
    return "\n".join(parts) + "\n"


def main() -> None:
    """Replace the rules' part of the page."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(text.partition(_FIRST_RULE)[0] + rules_section(), encoding="utf-8")


if __name__ == "__main__":
    main()
