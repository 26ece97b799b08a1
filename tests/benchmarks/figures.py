"""Note what a benchmark measured, and print all of it as a table.

Each figure is one line of JSON in the file that `BENCH_RESULTS` names. A limit is the most that a
figure may be; `make bench` ends with 1 if one is above its limit.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Number = int | float


def record(
    name: str, value: Number, unit: str, limit: Number | None = None, **detail: object
) -> None:
    """Note one figure; `limit` is the most it may be, `detail` how it came about."""
    figure = {"name": name, "value": value, "unit": unit, "limit": limit, "detail": detail}
    line = json.dumps(figure, ensure_ascii=False)
    print(line)  # noqa: T201 - pytest shows it with -s and after a failure
    results = os.environ.get("BENCH_RESULTS")
    if results:
        with Path(results).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def table(figures: list[dict[str, Any]]) -> Iterator[str]:
    """Return the figures as lines, those above their limit marked."""
    header = ("figure", "measured", "at most", "")
    rows = [header, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for name, value, limit, rest in rows:
        line = f"{name:<{widths[0]}}  {value:>{widths[1]}}  {limit:>{widths[2]}}  {rest}"
        yield line.rstrip()


def _row(figure: dict[str, Any]) -> tuple[str, str, str, str]:
    unit, limit = figure["unit"], figure["limit"]
    detail = ", ".join(f"{key} {value}" for key, value in figure["detail"].items())
    mark = "ABOVE THE LIMIT " if is_above(figure) else ""
    return (
        figure["name"],
        f"{_text(figure['value'])} {unit}",
        "" if limit is None else f"{_text(limit)} {unit}",
        mark + detail,
    )


def _text(number: Number) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:,.2f}"


def is_above(figure: dict[str, Any]) -> bool:
    """Tell whether a figure is above its limit."""
    return figure["limit"] is not None and figure["value"] > figure["limit"]


def main(path: str) -> int:
    """Print a file's figures; return 1 if one is above its limit."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    figures = [json.loads(line) for line in lines]
    sys.stdout.writelines(f"{line}\n" for line in table(figures))
    return int(any(map(is_above, figures)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
