"""The documentation names everything that a person can type, and nothing that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest

from jupyter_mlops.cli.main import VERBS, cli
from jupyter_mlops.config import Config

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every command of the tree with its full name: ``runs ls``."""

    def walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        if isinstance(command, click.Group):
            context = click.Context(command)
            for child in command.list_commands(context):
                found = command.get_command(context, child)
                assert found is not None, f"{name} {child} is listed and cannot be loaded"
                yield from walk(f"{name} {child}".strip(), found)
        else:
            yield name, command

    yield from walk("", cli)


COMMANDS = dict(commands())


def section(name: str) -> str:
    """The part of docs/cli.md under the heading of one command."""
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    match = re.search(
        rf"^#+ `jupyter mlops {re.escape(name)}\b[^`]*`\n(.*?)(?=^#|\Z)", text, re.M | re.S
    )
    assert match is not None, f"docs/cli.md has no heading for `jupyter mlops {name}`"
    return match.group(0)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_documented_with_all_its_options(name: str) -> None:
    text = section(name)
    for parameter in COMMANDS[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts[0]} has no help text"
            for word in parameter.opts:
                assert word in text, f"docs/cli.md does not name {word} of {name}"
        else:
            assert parameter.make_metavar(click.Context(COMMANDS[name])).strip("[]") in text


def test_no_command_is_documented_that_does_not_exist() -> None:
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    headings = re.findall(r"^#+ `jupyter mlops ([a-z ]+?)(?: [A-Z\[-].*)?`$", text, re.M)
    assert headings
    assert {h.strip() for h in headings} == set(COMMANDS)


def test_each_command_says_what_it_does() -> None:
    for name, command in COMMANDS.items():
        assert command.help, name
    for verb, (_, _, text) in VERBS.items():
        assert text.endswith("."), verb


def test_each_setting_is_documented() -> None:
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    for field in fields(Config):
        assert f"`{field.name.replace('_', '-')}`" in text
        assert f"`JUPYTER_MLOPS_{field.name.upper()}`" in text


def test_each_magic_is_documented_with_all_its_options() -> None:
    from jupyter_mlops import magics
    from jupyter_mlops.capture.options import OPTIONS

    text = (DOCS / "magics.md").read_text(encoding="utf-8")
    for name in magics.NAMES:
        assert f"`{name}" in text, name
    for option in OPTIONS:
        assert option in text, option


def test_each_exit_code_is_documented() -> None:
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    for code in (0, 1, 2, 3, 4, 5, 130):
        assert re.search(rf"^\| {code}\b", text, re.M), code


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted(DOCS.glob("*.md"))], ids=str)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (path.parent / target).exists(), target
