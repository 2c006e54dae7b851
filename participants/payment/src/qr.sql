-- QR payments. Times are Unix milliseconds.
CREATE TABLE IF NOT EXISTS qr_payments (
    payment_id      TEXT PRIMARY KEY,       -- unique: it is what a wallet pays by
    merchant_id     TEXT NOT NULL,
    amount_minor    INTEGER NOT NULL CHECK (amount_minor > 0),
    expires_at_ms   INTEGER NOT NULL,
    state           TEXT NOT NULL
        CHECK (state IN ('open', 'paid', 'captured', 'expired', 'cancelled', 'refunding', 'refunded')),
    wallet_id       TEXT,
    confirmation_id TEXT,
    refund_due_ms   INTEGER,                -- of a refund that is under way
    namespace       TEXT NOT NULL,          -- the step that waits for the payer
    saga_id         TEXT NOT NULL,
    step            TEXT NOT NULL,
    element         TEXT NOT NULL
) STRICT, WITHOUT ROWID;
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
    owed_at_ms INTEGER NOT NULL,
    due_ms     INTEGER NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    said       TEXT NOT NULL DEFAULT '',    -- what the coordinator said last
    PRIMARY KEY (namespace, saga_id, step, element, operation)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS callbacks_waiting ON callbacks (due_ms) WHERE state = 'waiting';
