-- The barrier's tables in a participant's SQLite database. The same tables for Postgres are in schema.postgres.sql; the
-- rules, for any language, in participants/BARRIER.md.

-- One row per step, or per element of a for_each step. Never deleted while its saga is unfinished or stuck.
CREATE TABLE IF NOT EXISTS amends_barrier (
    namespace       TEXT NOT NULL,
    saga_id         TEXT NOT NULL,
    step            TEXT NOT NULL,
    element         TEXT NOT NULL,      -- '' where the step has no elements
    status          TEXT NOT NULL CHECK (status IN ('sealed', 'refused', 'pending', 'succeeded')),
    action_digest   BLOB,
    action_reply    BLOB,
    refusal_reason  TEXT,
    refusal_message TEXT,
    ending          TEXT CHECK (ending IN ('confirming', 'confirmed', 'compensating', 'compensated')),
    ending_digest   BLOB,
    ending_reply    BLOB,
    PRIMARY KEY (namespace, saga_id, step, element)
) STRICT, WITHOUT ROWID;

-- The highest epoch seen, per saga: a per-service maximum would refuse the owners of all other shards. Where the saga
-- comes from and when it began say when its rows may be swept.
CREATE TABLE IF NOT EXISTS amends_saga (
    namespace  TEXT NOT NULL,
    saga_id    TEXT NOT NULL,
    epoch      INTEGER NOT NULL,        -- unsigned, stored as its two's complement
    first_seen INTEGER NOT NULL DEFAULT (unixepoch()),
    store      TEXT,                    -- the coordinator's store; NULL: never swept
    begun      INTEGER,                 -- unix ms, by the coordinator's clock; NULL: never swept
    PRIMARY KEY (namespace, saga_id)
) STRICT, WITHOUT ROWID;
-- The highest floor by which rows of a store's sagas were swept, in unix ms. A call of a saga below it isn't let through.
CREATE TABLE IF NOT EXISTS amends_floor (
    store TEXT PRIMARY KEY,
    floor INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS amends_saga_by_age ON amends_saga (store, begun);
