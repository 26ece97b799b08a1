"""Write for people: tables in colour on a terminal, plain aligned text in a pipe."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.management.base import OutputWrapper
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

_GAP = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """One column's title, and whether its cells are numbers."""

    title: str
    is_number: bool = False


class Writer:
    """Write text, tables and documents to a command's output."""

    def __init__(self, out: OutputWrapper) -> None:
        """Look once whether a person reads along."""
        self._out = out
        self.is_terminal = out.isatty()

    def line(self, text: str = "") -> None:
        """Write one line of plain text."""
        self._out.write(text)

    def heading(self, text: str) -> None:
        """Write a heading with a line of space above it."""
        self._out.write(f"\n{self._styled(f'[bold]{escape(text)}[/bold]', text)}")

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
        """Write rows under their titles; nothing if there are none."""
        if not rows:
            return
        self._out.write(_drawn(columns, rows) if self.is_terminal else _aligned(columns, rows))

    def document(self, content: Any) -> None:
        """Write one JSON document."""
        self._out.write(json.dumps(content, indent=2, ensure_ascii=False))

    def _styled(self, markup: str, plain: str) -> str:
        if not self.is_terminal:
            return plain
        console = Console(force_terminal=True)
        with console.capture() as captured:
            console.print(markup, end="", highlight=False)
        return captured.get()


def _aligned(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> str:
    lines = [[column.title for column in columns], *rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]

    def cell(index: int, text: str) -> str:
        width = widths[index]
        return text.rjust(width) if columns[index].is_number else text.ljust(width)

    return "\n".join(
        _GAP.join(cell(index, text) for index, text in enumerate(line)).rstrip() for line in lines
    )


def _drawn(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> str:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for index, column in enumerate(columns):
        # Assets and digits are never cut off; on a narrow terminal the words wrap instead.
        table.add_column(
            escape(column.title),
            justify="right" if column.is_number else "left",
            no_wrap=column.is_number or index == 0,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(escape(text) for text in row))
    console = Console(force_terminal=True)
    with console.capture() as captured:
        console.print(table)
    return captured.get()
