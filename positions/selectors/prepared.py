"""Write a query's SQL once in each process: Django writes it anew for every request.

For what bots ask every second, where writing takes longer than asking (docs/performance.md). All
else asks as usual.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from django.db import connection
from django.db.models import QuerySet

Row = dict[str, Any]
Value = str | int | datetime


@dataclass(frozen=True, slots=True)
class _Given:
    """A parameter's place in the SQL."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """A query as it goes to the database, and how what comes back is read."""

    sql: str
    parameters: tuple[Any, ...]  # values, and places of what is given
    columns: tuple[str, ...]
    converters: dict[int, tuple[list[Callable[..., Any]], Any]]


class Prepared:
    """A query of named values whose parameters are texts, whole numbers or moments.

    `build` takes something that stands for each parameter and returns the query; it must not look
    at it.
    """

    def __init__(self, build: Callable[..., QuerySet[Any, Any]], **given: type[Value]) -> None:
        """Keep how the query is built; nothing is built before it is first asked."""
        self._build = build
        self._given = given

    def rows(self, **values: Value) -> list[Row]:
        """Return what the database says, by the columns' names."""
        written = self._written
        parameters = [
            _adapted(values[item.name]) if isinstance(item, _Given) else item
            for item in written.parameters
        ]
        with connection.cursor() as cursor:
            cursor.execute(written.sql, parameters)
            found = cursor.fetchall()
        return [_row(written, values) for values in found]

    @cached_property
    def _written(self) -> _Written:
        stand_ins = {name: _stand_in(kind, name) for name, kind in self._given.items()}
        places = {_adapted(value): _Given(name) for name, value in stand_ins.items()}
        query = self._build(**stand_ins).query
        compiler = query.get_compiler(connection=connection)
        sql, parameters = compiler.as_sql()
        expressions = [column[0] for column in compiler.select[: compiler.col_count]]
        return _Written(
            sql=sql,
            parameters=tuple(places.get(item, item) for item in parameters),
            columns=(*query.extra_select, *query.values_select, *query.annotation_select),
            converters=compiler.get_converters(expressions),
        )


def _row(written: _Written, values: tuple[Any, ...]) -> Row:
    row = list(values)
    for position, (converters, expression) in written.converters.items():
        for convert in converters:
            row[position] = convert(row[position], expression, connection)
    return dict(zip(written.columns, row, strict=True))


def _stand_in(kind: type[Value], name: str) -> Value:
    """Return what no query ever asks for."""
    if kind is str:
        return f"the {name} that is given"
    if kind is int:
        return -int.from_bytes(name.encode()[:6])
    return datetime(1900, 1, 1, microsecond=sum(name.encode()), tzinfo=UTC)


def _adapted(value: Value) -> Any:
    """Return it as the database takes it."""
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value
