-- The payment service's tables on Postgres, as schema.sql, qr.sql and evidence.sql have them for SQLite. Amounts are whole minor
-- units; sums, which Postgres makes wider, are cast back to 64 bits.

-- payment_id is not unique on purpose: that one charge is made only once is the barrier's promise, and must show if it
-- breaks.
CREATE TABLE IF NOT EXISTS charges (
    charge_id    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payment_id   TEXT NOT NULL,
    amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
    reservation  TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('standing', 'refunded')),
    namespace    TEXT NOT NULL,          -- the saga that has made it, and that alone may compensate it
    saga_id      TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS charges_by_payment ON charges (payment_id);

-- Double entry: each movement is two rows that sum to zero.
CREATE TABLE IF NOT EXISTS movements (
    movement BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cause    TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS entries (
    movement     BIGINT NOT NULL,
    side         BIGINT NOT NULL CHECK (side IN (0, 1)),
    account_id   TEXT NOT NULL
        CHECK (account_id IN ('card-network', 'payer-wallets', 'qr-clearing', 'merchant-receivable')),
    amount_minor BIGINT NOT NULL,
    cause        TEXT NOT NULL,
    PRIMARY KEY (movement, side)
);

-- QR payments. Times are Unix milliseconds.
CREATE TABLE IF NOT EXISTS qr_payments (
    payment_id      TEXT PRIMARY KEY,       -- unique: it is what a wallet pays by
    merchant_id     TEXT NOT NULL,
    amount_minor    BIGINT NOT NULL CHECK (amount_minor > 0),
    expires_at_ms   BIGINT NOT NULL,
    state           TEXT NOT NULL
        CHECK (state IN ('open', 'paid', 'captured', 'expired', 'cancelled', 'refunding', 'refunded')),
    wallet_id       TEXT,
    confirmation_id TEXT,
    refund_due_ms   BIGINT,                -- of a refund that is under way
    namespace       TEXT NOT NULL,          -- the step that waits for the payer
    saga_id         TEXT NOT NULL,
    step            TEXT NOT NULL,
    element         TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS qr_payments_open ON qr_payments (expires_at_ms) WHERE state = 'open';
CREATE INDEX IF NOT EXISTS qr_payments_refunding ON qr_payments (refund_due_ms) WHERE state = 'refunding';

-- What the coordinator has to be told: written with the effect, sent until it is acknowledged.
CREATE TABLE IF NOT EXISTS callbacks (
    namespace  TEXT NOT NULL,
    saga_id    TEXT NOT NULL,
    step       TEXT NOT NULL,
    element    TEXT NOT NULL,
    operation  TEXT NOT NULL CHECK (operation IN ('action', 'compensate')),
    output     TEXT,                        -- JSON, where it succeeded
    reason     TEXT,                        -- where it was refused, with words
    message    TEXT,
    state      TEXT NOT NULL CHECK (state IN ('waiting', 'acknowledged', 'given-up')),
    owed_at_ms BIGINT NOT NULL,
    due_ms     BIGINT NOT NULL,
    attempts   BIGINT NOT NULL DEFAULT 0,
    said       TEXT NOT NULL DEFAULT '',    -- what the coordinator said last
    PRIMARY KEY (namespace, saga_id, step, element, operation)
);
CREATE INDEX IF NOT EXISTS callbacks_waiting ON callbacks (due_ms) WHERE state = 'waiting';

-- For anybody to check: charged - refunded + qr_captured = receivable, qr_paid - qr_refunded - qr_captured = qr_held,
-- entries_sum = 0.
CREATE OR REPLACE VIEW conservation (kind, amount) AS
    SELECT 'charged', CAST(coalesce(sum(amount_minor), 0) AS BIGINT) FROM charges
    UNION ALL SELECT 'refunded', CAST(coalesce(sum(amount_minor), 0) AS BIGINT) FROM charges WHERE state = 'refunded'
    UNION ALL SELECT 'qr_paid', CAST(coalesce(sum(amount_minor), 0) AS BIGINT) FROM qr_payments WHERE confirmation_id IS NOT NULL
    UNION ALL SELECT 'qr_refunded', CAST(coalesce(sum(amount_minor), 0) AS BIGINT) FROM qr_payments WHERE state = 'refunded'
    UNION ALL SELECT 'qr_captured', CAST(coalesce(sum(amount_minor), 0) AS BIGINT) FROM qr_payments WHERE state = 'captured'
    UNION ALL SELECT 'qr_held', CAST(coalesce(sum(amount_minor), 0) AS BIGINT) FROM entries WHERE account_id = 'qr-clearing'
    UNION ALL SELECT 'receivable', CAST(coalesce(sum(amount_minor), 0) AS BIGINT) FROM entries WHERE account_id = 'merchant-receivable'
    UNION ALL SELECT 'entries_sum', CAST(coalesce(sum(amount_minor), 0) AS BIGINT) FROM entries;
