-- The payment service's own tables. Amounts are whole minor units; STRICT keeps SQLite from turning a sum into a float.

-- payment_id is not unique on purpose: that one charge is made only once is the barrier's promise, and must show if it
-- breaks.
CREATE TABLE IF NOT EXISTS charges (
    charge_id    INTEGER PRIMARY KEY,
    payment_id   TEXT NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    reservation  TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('standing', 'refunded')),
    namespace    TEXT NOT NULL,          -- the saga that has made it, and that alone may compensate it
    saga_id      TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS charges_by_payment ON charges (payment_id);

-- Double entry: each movement is two rows that sum to zero.
CREATE TABLE IF NOT EXISTS movements (
    movement INTEGER PRIMARY KEY,
    cause    TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS entries (
    movement     INTEGER NOT NULL,
    side         INTEGER NOT NULL CHECK (side IN (0, 1)),
    account_id   TEXT NOT NULL
        CHECK (account_id IN ('card-network', 'payer-wallets', 'qr-clearing', 'merchant-receivable')),
    amount_minor INTEGER NOT NULL,
    cause        TEXT NOT NULL,
    PRIMARY KEY (movement, side)
) STRICT, WITHOUT ROWID;

-- Databases from before movements had a table of their own.
INSERT INTO movements (movement, cause)
    SELECT movement, cause FROM entries WHERE side = 0 AND movement > (SELECT coalesce(max(movement), 0) FROM movements);
