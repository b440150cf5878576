"""YAML as these files use it: the core schema of YAML 1.2, and nothing that surprises.

PyYAML reads YAML 1.1, where ``1e-3`` is text, ``on`` is true and ``1:30`` is ninety.  A parameter
file must not do that, so scalars are resolved by YAML 1.2's core schema
(https://yaml.org/spec/1.2.2/#103-core-schema).  What is written is quoted wherever either version
would take text for something else.  Aliases are refused (a few lines of them describe gigabytes),
and so are duplicate keys, of which PyYAML silently drops all but the last.
"""

from __future__ import annotations

import math
import re
from functools import cache
from typing import Any

__all__ = ["YamlProblem", "dump_yaml", "parse_yaml"]

_CORE = (
    ("tag:yaml.org,2002:null", re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]),
    (
        "tag:yaml.org,2002:bool",
        re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"),
        list("tTfF"),
    ),
    (
        "tag:yaml.org,2002:int",
        re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z"),
        list("-+0123456789"),
    ),
    (
        "tag:yaml.org,2002:float",
        re.compile(
            r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
        ),
        list("-+0123456789."),
    ),
)

_LINE_ENDS = re.compile("[\x85\u2028\u2029]")


class YamlProblem(ValueError):
    """The text is not YAML as these files use it; the message says what and where."""


def parse_yaml(text: str) -> Any:
    """Return what one YAML document says, in plain dicts, lists, strings, numbers and ``None``.

    Raises ``YamlProblem``.
    """
    import yaml

    try:
        return yaml.load(text, Loader=_loader())  # noqa: S506  (a subclass of SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = str(error.problem or error.context)
        if problem.startswith("but ") and error.context:
            problem = f"{error.context}, {problem}"
        raise YamlProblem(f"{where}{problem}") from error
    except yaml.YAMLError as error:
        raise YamlProblem(" ".join(str(error).split())) from error
    except RecursionError:
        raise YamlProblem("it is nested too deeply") from None
    except (ValueError, OverflowError) as error:  # a number that Python does not take
        raise YamlProblem(str(error)) from error


def dump_yaml(data: Any) -> str:
    """Return plain data as block-style YAML in the order given, one value a line."""
    import yaml

    # Without a width, a changed word moves no line breaks elsewhere: diffs stay small.
    return yaml.dump(
        data,
        Dumper=_dumper(),
        sort_keys=False,
        default_flow_style=False,
        allow_unicode=True,
        width=math.inf,
    )


@cache
def _loader() -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  (as PyYAML declares it)

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                parser: Any = self  # PyYAML's stubs leave some methods untyped
                mark = parser.peek_event().start_mark
                raise yaml.composer.ComposerError(
                    None, None, "aliases (*name) are not allowed", mark
                )
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen = set()
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise yaml.constructor.ConstructorError(
                        None, None, "a key must be a plain word", key.start_mark
                    )
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} is there twice", key.start_mark
                    )
                seen.add(key.value)
            return super().construct_mapping(node, deep=deep)

    for tag, pattern, first in _CORE:
        Loader.add_implicit_resolver(tag, pattern, first)
    Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)
    Loader.add_constructor("tag:yaml.org,2002:float", _construct_float)
    return Loader


def _construct_int(loader: Any, node: Any) -> int:
    text = loader.construct_scalar(node)
    for prefix, base in (("0o", 8), ("0x", 16)):
        if text.startswith(prefix):
            return int(text[2:], base)
    return int(text)


def _construct_float(loader: Any, node: Any) -> float:
    return float(
        loader.construct_scalar(node).lower().replace(".inf", "inf").replace(".nan", "nan")
    )


@cache
def _dumper() -> Any:
    import yaml

    class Dumper(yaml.SafeDumper):
        # Both versions' rules: text that either would read as something else gets quotes.
        yaml_implicit_resolvers = {  # noqa: RUF012
            first: list(rules) for first, rules in yaml.SafeDumper.yaml_implicit_resolvers.items()
        }

        def ignore_aliases(self, data: Any) -> bool:
            return True

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
            return super().increase_indent(flow, False)  # lists are indented below their key

    for tag, pattern, first in _CORE:
        Dumper.add_implicit_resolver(tag, pattern, first)
    Dumper.add_representer(str, _represent_text)
    return Dumper


def _represent_text(dumper: Any, text: str) -> Any:
    style = "|" if "\n" in text else None
    if _LINE_ENDS.search(text):
        style = '"'  # readers take these for line breaks unless they are escaped
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
