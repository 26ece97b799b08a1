"""The tables of the state file; amounts are decimal text."""

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE markets (symbol TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE accounts (
    number INTEGER PRIMARY KEY, api_key TEXT NOT NULL UNIQUE, api_secret TEXT NOT NULL,
    name TEXT NOT NULL, permissions TEXT NOT NULL, bnb_burn INTEGER NOT NULL,
    revoked INTEGER NOT NULL, created_ms INTEGER NOT NULL,
    nonce_window INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE balances (
    api_key TEXT NOT NULL, asset TEXT NOT NULL, free TEXT NOT NULL, locked TEXT NOT NULL,
    PRIMARY KEY (api_key, asset)
) WITHOUT ROWID;
CREATE TABLE initial_balances (
    api_key TEXT NOT NULL, asset TEXT NOT NULL, amount TEXT NOT NULL,
    PRIMARY KEY (api_key, asset)
) WITHOUT ROWID;
CREATE TABLE orders (
    order_id INTEGER PRIMARY KEY AUTOINCREMENT, api_key TEXT NOT NULL, symbol TEXT NOT NULL,
    client_order_id TEXT NOT NULL, side TEXT NOT NULL, type TEXT NOT NULL,
    time_in_force TEXT NOT NULL, price TEXT NOT NULL, quantity TEXT NOT NULL,
    quote_quantity TEXT NOT NULL, filled_quantity TEXT NOT NULL, filled_quote TEXT NOT NULL,
    locked TEXT NOT NULL, status TEXT NOT NULL, origin TEXT NOT NULL,
    created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL,
    txid TEXT NOT NULL DEFAULT '', userref INTEGER
);
CREATE INDEX orders_by_client ON orders (api_key, symbol, client_order_id);
CREATE INDEX orders_open ON orders (symbol) WHERE status IN ('NEW', 'PARTIALLY_FILLED');
CREATE TABLE fills (
    trade_id INTEGER PRIMARY KEY AUTOINCREMENT, order_id INTEGER NOT NULL, api_key TEXT NOT NULL,
    symbol TEXT NOT NULL, side TEXT NOT NULL, price TEXT NOT NULL, quantity TEXT NOT NULL,
    quote_quantity TEXT NOT NULL, commission TEXT NOT NULL, commission_asset TEXT NOT NULL,
    is_maker INTEGER NOT NULL, at_ms INTEGER NOT NULL, txid TEXT NOT NULL DEFAULT ''
);
CREATE INDEX fills_by_order ON fills (order_id);
CREATE INDEX fills_by_symbol ON fills (api_key, symbol);
CREATE TABLE conversions (
    transfer_id INTEGER PRIMARY KEY AUTOINCREMENT, batch_id INTEGER NOT NULL,
    api_key TEXT NOT NULL, from_asset TEXT NOT NULL, amount TEXT NOT NULL,
    transferred TEXT NOT NULL, service_charge TEXT NOT NULL, at_ms INTEGER NOT NULL,
    client_id TEXT NOT NULL DEFAULT ''
);
CREATE TABLE external_changes (
    id INTEGER PRIMARY KEY, api_key TEXT NOT NULL, asset TEXT NOT NULL,
    free_change TEXT NOT NULL, locked_change TEXT NOT NULL, at_ms INTEGER NOT NULL
);
CREATE TABLE requests (
    id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, wall_us INTEGER NOT NULL,
    method TEXT NOT NULL, path TEXT NOT NULL, params TEXT NOT NULL, api_key TEXT,
    status INTEGER, code INTEGER, weight INTEGER NOT NULL, counted_order INTEGER NOT NULL,
    fault TEXT, address TEXT NOT NULL DEFAULT '127.0.0.1'
);
CREATE TABLE violations (
    id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, wall_us INTEGER NOT NULL,
    kind TEXT NOT NULL, observed INTEGER NOT NULL, allowed INTEGER NOT NULL,
    interval_seconds INTEGER NOT NULL, api_key TEXT, address TEXT NOT NULL DEFAULT '127.0.0.1'
);
CREATE TABLE faults (
    id INTEGER PRIMARY KEY AUTOINCREMENT, spec TEXT NOT NULL, seen INTEGER NOT NULL DEFAULT 0,
    fired INTEGER NOT NULL DEFAULT 0, cleared INTEGER NOT NULL DEFAULT 0, refused TEXT
);
CREATE TABLE changes (
    id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, wall_us INTEGER NOT NULL,
    path TEXT NOT NULL, api_key TEXT, body TEXT NOT NULL, fault_id INTEGER
);
CREATE TABLE nonces (
    api_key TEXT NOT NULL, nonce INTEGER NOT NULL, PRIMARY KEY (api_key, nonce)
) WITHOUT ROWID;
CREATE TABLE counters (
    name TEXT PRIMARY KEY, value TEXT NOT NULL, at_us INTEGER NOT NULL
) WITHOUT ROWID;
"""

FORMAT = "3"
# What makes a file of the next version out of an older one.
UPGRADES = {
    "1": """
ALTER TABLE requests ADD COLUMN address TEXT NOT NULL DEFAULT '127.0.0.1';
ALTER TABLE violations ADD COLUMN address TEXT NOT NULL DEFAULT '127.0.0.1';
ALTER TABLE faults ADD COLUMN refused TEXT;
CREATE TABLE changes (
    id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, wall_us INTEGER NOT NULL,
    path TEXT NOT NULL, api_key TEXT, body TEXT NOT NULL, fault_id INTEGER
);
UPDATE meta SET value = '2' WHERE name = 'format';
""",
    "2": """
ALTER TABLE conversions ADD COLUMN client_id TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN nonce_window INTEGER NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN txid TEXT NOT NULL DEFAULT '';
ALTER TABLE orders ADD COLUMN userref INTEGER;
ALTER TABLE fills ADD COLUMN txid TEXT NOT NULL DEFAULT '';
CREATE TABLE nonces (
    api_key TEXT NOT NULL, nonce INTEGER NOT NULL, PRIMARY KEY (api_key, nonce)
) WITHOUT ROWID;
CREATE TABLE counters (
    name TEXT PRIMARY KEY, value TEXT NOT NULL, at_us INTEGER NOT NULL
) WITHOUT ROWID;
UPDATE meta SET value = '3' WHERE name = 'format';
""",
}

TABLES = (
    "markets",
    "balances",
    "initial_balances",
    "orders",
    "fills",
    "conversions",
    "external_changes",
    "requests",
    "violations",
    "faults",
    "changes",
    "nonces",
    "counters",
)
