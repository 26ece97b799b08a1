"""The exchange's memory: one SQLite file, or one in memory without `--state-file`.

Every change of one request is one transaction, committed before its answer leaves: a process
killed at any moment goes on with the same balances, orders and keys.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from sandbox.amounts import ZERO, plain
from sandbox.markets import Market, from_data, to_data
from sandbox.records import OPEN_STATUSES, Account, Balance, Fill, Order
from sandbox.schema import FORMAT, SCHEMA, TABLES, UPGRADES

Row = TypeVar("Row", Order, Fill)
_OPEN = f"status IN {OPEN_STATUSES!r}"


class StateError(Exception):
    """The state file can't be used; the message says why in one line."""


class State:
    """All that the exchange knows; use it inside `transaction()`, which is also its lock."""

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.RLock()
        self._closed = False
        self._changed_markets = False
        self._markets: dict[str, Market] = {}
        try:
            self._db = self._open(path)
            tables = self._tables()
            if tables:
                # A file that is not ours is refused as it is: no write, no change of its mode.
                found = self.meta("format") if "meta" in tables else None
                if found != FORMAT and found not in UPGRADES:
                    raise StateError(f"{path}: not a state file of this version")
                while found in UPGRADES:
                    self._db.executescript(f"BEGIN;{UPGRADES[found]}COMMIT;")
                    found = self.meta("format")
            else:
                self._db.executescript(f"BEGIN;{SCHEMA}COMMIT;")
                self.set_meta("format", FORMAT)
            if path is not None:
                path.chmod(0o600)
                self._keep_journal()
            self._load_markets()
        except (sqlite3.Error, OSError) as error:
            raise StateError(f"{path}: {error}") from error

    @staticmethod
    def _open(path: Path | None) -> sqlite3.Connection:
        if path is not None and not path.exists():
            # The file holds API secrets: nobody else may read it, from the first byte on.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        db = sqlite3.connect(
            ":memory:" if path is None else path,
            isolation_level=None,
            check_same_thread=False,
            timeout=1,
        )
        db.row_factory = sqlite3.Row
        if path is not None:
            # Exclusive: a second process on the same file is refused instead of mixing books.
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
        return db

    def _keep_journal(self) -> None:
        self.run("PRAGMA journal_mode=WAL")
        # Survives the death of the process; only a power cut may lose the last commits.
        self.run("PRAGMA synchronous=NORMAL")

    def _tables(self) -> list[str]:
        return [row["name"] for row in self.rows("SELECT name FROM sqlite_master")]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run a block alone and commit it as a whole, or undo it when it raises."""
        with self._lock:
            if self._closed:
                raise ConnectionAbortedError("the exchange is closing")
            self._db.execute("BEGIN IMMEDIATE")
            self._changed_markets = False
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                self._forget_changed_markets()
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def undone_on_refusal(self) -> Iterator[None]:
        """Run a part of a transaction; undo only this part when it raises."""
        self._db.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK TO part")
            self._db.execute("RELEASE part")
            self._forget_changed_markets()
            raise
        self._db.execute("RELEASE part")

    def close(self) -> None:
        """Finish the running transaction and close the file; later requests are dropped."""
        with self._lock:
            self._closed = True
            self._db.close()

    # Rows
    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        return self._db.execute(sql, values).fetchall()

    def run(self, sql: str, *values: object) -> None:
        """Execute one statement."""
        self._db.execute(sql, values)

    def add(self, table: str, **values: object) -> int:
        """Insert one row and return its id."""
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        sql = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608  names are ours
        cursor = self._db.execute(sql, [_column(value) for value in values.values()])
        return int(cursor.lastrowid or 0)

    def change(self, table: str, key: str, number: int, **values: object) -> None:
        """Update one row found by its integer key."""
        names = ", ".join(f"{name} = ?" for name in values)
        sql = f"UPDATE {table} SET {names} WHERE {key} = ?"  # noqa: S608  names are ours
        self._db.execute(sql, [*(_column(value) for value in values.values()), number])

    def clear(self) -> None:
        """Forget everything but the accounts' credentials and the meta data."""
        for table in TABLES:
            self.run(f"DELETE FROM {table}")  # noqa: S608  names are ours
        self._markets.clear()
        self._changed_markets = True

    # Meta data
    def meta(self, name: str) -> str | None:
        """Return a stored setting."""
        rows = self.rows("SELECT value FROM meta WHERE name = ?", name)
        return str(rows[0]["value"]) if rows else None

    def set_meta(self, name: str, value: str) -> None:
        """Store a setting."""
        self.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", name, value)

    # Markets
    @property
    def markets(self) -> dict[str, Market]:
        """Return all markets by symbol; read only."""
        return self._markets

    def put_market(self, market: Market) -> None:
        """Add or replace a market."""
        data = json.dumps(to_data(market))
        self.run("INSERT OR REPLACE INTO markets VALUES (?, ?)", market.symbol, data)
        self._markets[market.symbol] = market
        self._changed_markets = True

    def _forget_changed_markets(self) -> None:
        if self._changed_markets:
            self._load_markets()

    def _load_markets(self) -> None:
        rows = self.rows("SELECT symbol, data FROM markets ORDER BY symbol")
        self._markets = {row["symbol"]: from_data(json.loads(row["data"])) for row in rows}

    # Accounts and balances
    def accounts(self) -> list[Account]:
        """Return all accounts, the first one first."""
        return [_account(row) for row in self.rows("SELECT * FROM accounts ORDER BY number")]

    def account(self, api_key: str) -> Account | None:
        """Return the account of a key."""
        rows = self.rows("SELECT * FROM accounts WHERE api_key = ?", api_key)
        return _account(rows[0]) if rows else None

    def balance(self, api_key: str, asset: str) -> Balance:
        """Return what the account holds of an asset; nothing is a balance of zero."""
        sql = "SELECT free, locked FROM balances WHERE api_key = ? AND asset = ?"
        rows = self.rows(sql, api_key, asset)
        if not rows:
            return Balance()
        return Balance(free=Decimal(rows[0]["free"]), locked=Decimal(rows[0]["locked"]))

    def balances(self, api_key: str) -> dict[str, Balance]:
        """Return all balances of an account by asset."""
        sql = "SELECT asset, free, locked FROM balances WHERE api_key = ? ORDER BY asset"
        return {
            row["asset"]: Balance(free=Decimal(row["free"]), locked=Decimal(row["locked"]))
            for row in self.rows(sql, api_key)
        }

    def shift(
        self, api_key: str, asset: str, *, free: Decimal = ZERO, locked: Decimal = ZERO
    ) -> Balance:
        """Add to a balance and return it; raise ArithmeticError if it would get negative."""
        old = self.balance(api_key, asset)
        new = Balance(free=old.free + free, locked=old.locked + locked)
        if new.free < 0 or new.locked < 0:
            raise ArithmeticError(f"{asset} would be {new.free} free, {new.locked} locked")
        self.run(
            "INSERT OR REPLACE INTO balances VALUES (?, ?, ?, ?)",
            api_key,
            asset,
            plain(new.free),
            plain(new.locked),
        )
        return new

    # Orders and fills
    def orders(self, where: str, *values: object) -> list[Order]:
        """Return the orders that meet an SQL condition, the oldest first."""
        sql = f"SELECT * FROM orders WHERE {where} ORDER BY order_id"  # noqa: S608  ours
        return _records(Order, self.rows(sql, *values))

    def open_orders(self, where: str, *values: object) -> list[Order]:
        """Return the open orders that meet an SQL condition, the oldest first."""
        return self.orders(f"{_OPEN} AND {where}", *values)

    def fills(self, where: str, *values: object) -> list[Fill]:
        """Return the fills that meet an SQL condition, the oldest first."""
        sql = f"SELECT * FROM fills WHERE {where} ORDER BY trade_id"  # noqa: S608  ours
        return _records(Fill, self.rows(sql, *values))


def _column(value: object) -> object:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, (dict, list)):
        return json.dumps(value)
    return value


def _account(row: sqlite3.Row) -> Account:
    values: dict[str, Any] = dict(row)
    values["permissions"] = json.loads(values["permissions"])
    values["bnb_burn"] = bool(values["bnb_burn"])
    values["revoked"] = bool(values["revoked"])
    return Account(**values)


def _records(kind: type[Row], rows: Iterable[sqlite3.Row]) -> list[Row]:
    amounts = [field.name for field in fields(kind) if field.type == "Decimal"]
    found = []
    for row in rows:
        values: dict[str, Any] = dict(row)
        for name in amounts:
            values[name] = Decimal(values[name])
        if kind is Fill:
            values["is_maker"] = bool(values["is_maker"])
        found.append(kind(**values))
    return found
