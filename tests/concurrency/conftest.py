"""The account, its exchange and its Valkey, for several hands at once."""

from tests.trading import (
    exchange,
    fresh_process,
    running_exchange,
    running_valkey,
    use_file_database,
    valkey,
    world,
)

__all__ = [
    "exchange",
    "fresh_process",
    "running_exchange",
    "running_valkey",
    "valkey",
    "world",
]

use_file_database()
