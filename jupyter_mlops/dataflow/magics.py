"""Magics, shell lines and cells that are not Python: their effects on what comes later."""

from __future__ import annotations

import re
import shlex
from typing import ClassVar

from .arguments import Arguments
from .heap import EMPTY, Kind, Thing, Value, scalar, text_of
from .known_functions import HARMLESS_MAGICS, SHELL_READS
from .known_methods import words
from .machine import Machine
from .paths import ANY
from .source import CellMagic

__all__ = ["Magics"]

_INTERPOLATED = re.compile(r"\{([^{}]+)\}|\$\{?([A-Za-z_]\w*)")
_REDIRECTED = re.compile(r"[>&;`]|\|\s*tee\b|\$\(")
_DISPLAYS = words("html HTML javascript js latex markdown svg SVG")
_WITH_VALUE = words("-n -r -p -s -l -D -T")
_SHELLS = words("bash sh script system sx ! cmd perl ruby python python2 python3 pypy")


class Magics(Machine):
    """What IPython's own syntax does."""

    _timed: ClassVar[frozenset[str]] = frozenset({"time", "prun", "memit", "mprun", "lprun"})

    def run_text(self, text: str) -> None:
        """Work through a line of Python; the statements' module knows how."""
        raise NotImplementedError

    def anything(self) -> Value:
        """Something ran that may read, bind and change whatever it likes."""
        self.facts.reads_anything = self.facts.binds_anything = True
        self.facts.effects.add("$anything")
        made = Thing(Kind.UNKNOWN)
        return frozenset({made})

    def shell_method(self, name: str, arguments: Arguments) -> Value:
        """A method of ``get_ipython()``, which is what magics and ``!`` become."""
        texts = [text_of(value) for value in arguments.positional]
        if name in ("system", "getoutput", "getoutput_list", "system_piped", "system_raw"):
            self.shell_line(texts[0] if texts and texts[0] is not None else ANY)
            return frozenset({Thing(Kind.CONTAINER, holds=set(scalar(ANY)))})
        if name in ("run_line_magic", "magic"):
            if name == "magic" and texts and texts[0] is not None:
                magic, _, rest = texts[0].lstrip("%").partition(" ")
                return self.line_magic(magic, rest)
            if texts and texts[0] is not None:
                return self.line_magic(texts[0], texts[1] or "" if len(texts) > 1 else "")
        if name == "run_cell_magic" and len(texts) == 3 and None not in texts:
            self.cell_magic(CellMagic(str(texts[0]), str(texts[1]), str(texts[2])))
            return frozenset({Thing(Kind.UNKNOWN)})
        if name in ("set_next_input", "showtraceback", "show_usage"):
            return EMPTY
        return self.anything()

    def line_magic(self, name: str, line: str) -> Value:
        """``%name line``."""
        result: Value = frozenset({Thing(Kind.UNKNOWN)})
        if name in self._timed or name == "timeit":
            code = _after_options(line)
            if name == "timeit":
                self._isolated(code)
            else:
                self.run_text(code)
        elif name == "cd":
            self.affect("$cwd")
        elif name in ("env", "set_env"):
            if "=" in line or len(line.split()) > 1:
                self.affect("$environment")
            self._read_interpolated(line)
        elif name in HARMLESS_MAGICS:
            if name in ("load_ext", "reload_ext", "alias_magic"):
                self.affect("$magics")
        elif name == "restore":  # A promoted cell calls ``jupyter_mlops.load`` instead.
            self._read_interpolated(line)
        elif name in ("sx", "system", "sc"):
            self.shell_line(line)
        elif name == "run":
            self.file_read([line.split()[0] if line.split() else None, None])
            self.file_written([None])
            self.facts.binds_anything = True
            self.facts.reads_anything |= "-i" in line.split()
            self.facts.effects.add("$anything")
        elif name == "reset" or name == "reset_selective":
            self.facts.binds_anything = True
            self.facts.effects.add("$anything")
        else:
            self.depend("$magics")
            self._read_interpolated(line)
            self.anything()
        return result

    def cell_magic(self, magic: CellMagic) -> None:
        """A cell that is not Python."""
        if magic.name in _DISPLAYS:
            return
        self._read_interpolated(magic.line)
        if magic.name in ("writefile", "file"):
            parts = magic.line.split()
            if parts:
                self.file_written([parts[-1]], whole="-a" not in parts)
            return
        if magic.name in _SHELLS:
            for word, option in zip(magic.line.split(), magic.line.split()[1:], strict=False):
                if word in ("--out", "--err", "--proc"):
                    self.store(option, scalar(ANY))
            self.affect("$shell")
            self.file_read([None])
            self.file_written([None])
            return
        self.depend("$magics")
        for word in magic.line.replace("<<", " << ").split():
            if word.isidentifier():
                self.read(word)  # ``%%sql result << SELECT ...`` and the like.
        self.anything()

    def shell_line(self, command: str) -> None:
        """``!command``: it may touch any file, unless it is known only to look."""
        self._read_interpolated(command)
        if _only_looks(command):
            return
        self.affect("$shell")
        self.file_read([None])
        self.file_written([None])

    def _read_interpolated(self, line: str) -> None:
        for expression, name in _INTERPOLATED.findall(line):
            if name:
                if name in self.names:
                    self.lookup(name)
            else:
                self.run_text(expression)

    def _isolated(self, code: str) -> None:
        """Code whose names do not outlive it, though what it changes stays changed."""
        before = self.save()
        stored = set(self.facts.stored)
        self.run_text(code)
        self.facts.stored = stored
        self.restore(before)


def _only_looks(command: str) -> bool:
    if _REDIRECTED.search(command):
        return False
    for part in command.split("|"):
        try:
            words = shlex.split(part)
        except ValueError:
            return False
        if not words:
            return False
        if words[0] not in SHELL_READS:
            return words[-1] in ("--version", "-V", "--help")
    return True


def _after_options(line: str) -> str:
    """The code of ``%timeit -n1 -r 1 code``."""
    words = line.split(" ")
    while words and (words[0].startswith("-") or not words[0]):
        option = words.pop(0)
        if option in _WITH_VALUE and words:  # Its value is the next word.
            words.pop(0)
    return " ".join(words)
