"""Text and tables on a terminal or in a file. It starts in no time, which a status that people type often should."""

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from enum import StrEnum
from typing import TextIO


class Style(StrEnum):
    """What a terminal is told; nobody else is."""

    PLAIN = ""
    BOLD = "\033[1m"
    DIM = "\033[2m"
    RED = "\033[31m"


_PLAIN_AGAIN = "\033[0m"


class Screen:
    """
    Args:
        file: Default: standard output.
        width: Characters; default: the terminal's, or COLUMNS, or 80.
    """

    def __init__(self, file: TextIO | None = None, *, width: int | None = None) -> None:
        self._file = file or sys.stdout
        self.width = width or shutil.get_terminal_size().columns
        self._styled = self._file.isatty() and "NO_COLOR" not in os.environ

    def line(self, text: str = "", style: Style = Style.PLAIN) -> None:
        """As it is, however long."""
        styled = f"{style}{text}{_PLAIN_AGAIN}" if style and self._styled else text
        print(styled, file=self._file)

    def prose(self, text: str, style: Style = Style.PLAIN) -> None:
        """Wrapped between words; what is indented stays so."""
        for paragraph in text.split("\n"):
            indent = paragraph[: len(paragraph) - len(paragraph.lstrip())]
            wrapped = textwrap.wrap(paragraph, self.width, subsequent_indent=indent, break_on_hyphens=False)
            for each in wrapped or [""]:
                self.line(each, style)

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]], *, names: Sequence[int]) -> None:
        """
        Args:
            names: The most characters of each of the first columns, which stand to the left and are cut to that, their
                heads too; the others stand to the right, and whole.
        """
        lines = [heads, *rows]
        cut = [[_cut(cell, most) for cell, most in zip(line, names, strict=False)] for line in lines]
        whole = [[*some, *line[len(names) :]] for some, line in zip(cut, lines, strict=True)]
        widths = [max(map(len, column)) for column in zip(*whole, strict=True)]
        for number, row in enumerate(whole):
            cells = (
                cell.ljust(width) if column < len(names) else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            self.line(" ".join(cells).rstrip(), Style.PLAIN if number else Style.BOLD)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
