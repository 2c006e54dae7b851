-- The inventory service's own tables. STRICT keeps SQLite from turning a sum into a float.

CREATE TABLE IF NOT EXISTS stock (
    sku       TEXT PRIMARY KEY,
    available INTEGER NOT NULL CHECK (available >= 0)
) STRICT, WITHOUT ROWID;

-- What SetStock put on the shelf (or took from it), so that the total can be checked without knowing an earlier one.
CREATE TABLE IF NOT EXISTS stocked (
    stocked_id INTEGER PRIMARY KEY,
    sku        TEXT NOT NULL REFERENCES stock,
    quantity   INTEGER NOT NULL
) STRICT;

-- order_id is not unique on purpose: that one reservation is made only once is the barrier's promise, and must show if
-- it breaks. A reservation that is never released is the sale.
CREATE TABLE IF NOT EXISTS reservations (
    reservation_id INTEGER PRIMARY KEY,
    order_id       TEXT NOT NULL,
    sku            TEXT NOT NULL REFERENCES stock,
    quantity       INTEGER NOT NULL,
    released       INTEGER NOT NULL DEFAULT 0 CHECK (released IN (0, 1)),
    namespace      TEXT NOT NULL,          -- the saga that has made it, and that alone may release it
    saga_id        TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS reservations_by_order ON reservations (order_id);
CREATE INDEX IF NOT EXISTS reservations_standing_by_sku ON reservations (sku) WHERE released = 0;

-- For anybody to check: available + sold = total = stocked.
CREATE VIEW IF NOT EXISTS conservation (kind, amount) AS
    SELECT 'available', (SELECT coalesce(sum(available), 0) FROM stock)
    UNION ALL SELECT 'sold', (SELECT coalesce(sum(quantity), 0) FROM reservations WHERE released = 0)
    UNION ALL SELECT 'total', (SELECT coalesce(sum(available), 0) FROM stock)
                            + (SELECT coalesce(sum(quantity), 0) FROM reservations WHERE released = 0)
    UNION ALL SELECT 'stocked', (SELECT coalesce(sum(quantity), 0) FROM stocked);
