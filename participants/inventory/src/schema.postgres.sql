-- The inventory service's own tables on Postgres, as in schema.sql. Sums are cast back to 64 bits.

CREATE TABLE IF NOT EXISTS stock (
    sku       TEXT PRIMARY KEY,
    available BIGINT NOT NULL CHECK (available >= 0)
);

CREATE TABLE IF NOT EXISTS stocked (
    stocked_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku        TEXT NOT NULL REFERENCES stock,
    quantity   BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS reservations (
    reservation_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id       TEXT NOT NULL,
    sku            TEXT NOT NULL REFERENCES stock,
    quantity       BIGINT NOT NULL,
    released       BIGINT NOT NULL DEFAULT 0 CHECK (released IN (0, 1)),
    namespace      TEXT NOT NULL,          -- the saga that has made it, and that alone may release it
    saga_id        TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS reservations_by_order ON reservations (order_id);
CREATE INDEX IF NOT EXISTS reservations_standing_by_sku ON reservations (sku) WHERE released = 0;

CREATE OR REPLACE VIEW conservation (kind, amount) AS
    SELECT kind, CAST(coalesce(amount, 0) AS BIGINT) FROM (
        SELECT 'available' AS kind, (SELECT sum(available) FROM stock) AS amount
        UNION ALL SELECT 'sold', (SELECT sum(quantity) FROM reservations WHERE released = 0)
        UNION ALL SELECT 'total', (SELECT coalesce(sum(available), 0) FROM stock)
                                + (SELECT coalesce(sum(quantity), 0) FROM reservations WHERE released = 0)
        UNION ALL SELECT 'stocked', (SELECT sum(quantity) FROM stocked)
    ) AS sums;
