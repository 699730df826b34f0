"""How the story is told: calm lines, colour and pauses on a terminal only."""

import os
import textwrap
import time
from datetime import datetime
from typing import TextIO

WIDTH = 96
_COLOURS = {"bold": "1", "dim": "2", "good": "32", "bad": "31", "command": "36"}


class Voice:
    """Prints to `out`."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._terminal = out.isatty()
        self._colour = self._terminal and not os.environ.get("NO_COLOR")
        self._blocks = "█░" if (out.encoding or "").lower().startswith("utf") else "#."
        self._chapter = 0

    def chapter(self, title: str) -> None:
        """Begin a part of the story."""
        self._chapter += 1
        self._line("")
        self._line(self._in("bold", f"{self._chapter}  {title}"))
        self._wait(0.8)

    def say(self, text: str, style: str = "") -> None:
        """A paragraph."""
        for line in _wrap(text, WIDTH):
            self._line("   " + self._in(style, line))
        self._wait(0.6)

    def at(self, now: datetime, text: str, style: str = "") -> None:
        """What happens at a time of the story."""
        first, *rest = _wrap(text, WIDTH - 7)
        self._line(f"   {self._in('dim', f'{now:%H:%M}')}  {self._in(style, first)}")
        for line in rest:
            self._line(f"          {self._in(style, line)}")
        self._wait(0.5)

    def traffic(self, now: datetime, version: int, share: int, text: str, style: str = "good") -> None:
        """How much of the traffic a version has."""
        full = round(share / 5)
        bar = self._in(style, self._blocks[0] * full) + self._in("dim", self._blocks[1] * (20 - full))
        self._line(f"   {self._in('dim', f'{now:%H:%M}')}  version {version} {bar} {share:3d} %  {text}")
        self._wait(0.5)

    def command(self, typed: str, printed: str = "") -> None:
        """What a person types, and what is printed."""
        self._line("   " + self._in("command", f"$ {typed}"))
        self._wait(0.3)
        for line in printed.splitlines():
            style = {"+ s": "good", "- s": "bad"}.get(line[:3], "")
            indent = " " * (len(line) - len(line.lstrip(" -")) + 2)
            for part in _wrap(line, WIDTH + 4, indent) or [""]:
                self._line("   " + self._in(style, part))
        self._wait(0.3)

    def _in(self, style: str, text: str) -> str:
        return f"\x1b[{_COLOURS[style]}m{text}\x1b[0m" if self._colour and style else text

    def _line(self, text: str) -> None:
        self._out.write(text.rstrip() + "\n")
        self._out.flush()

    def _wait(self, seconds: float) -> None:
        if self._terminal:
            time.sleep(seconds)


def _wrap(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False,
                         drop_whitespace=True, replace_whitespace=False)  # fmt: skip
