"""Write stored values as the cells of a CSV file: exact, in UTC, never a formula."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from positions.domain.amounts import canonical

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_PIECE = 65_536  # characters handed on at once: a row alone would be a network packet each


def disarmed(text: str) -> str:
    """Return text that no spreadsheet takes for a formula; amounts are never passed here."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def cell(value: object) -> str:
    """Return one value as text; an empty cell where nothing is stored.

    Amounts keep every digit, moments are ISO 8601 in UTC, lists and objects are JSON.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return canonical(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    return disarmed(str(value))


def csv_pieces(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield a CSV file in pieces, so that a long one never stands in memory as a whole."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(header)
    for row in rows:
        writer.writerow([cell(value) for value in row])
        if buffer.tell() > _PIECE:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()
