-- The barrier's tables in a participant's Postgres database. The same tables for SQLite are in schema.sqlite.sql; the
-- rules, for any language, in participants/BARRIER.md.

-- One row per step, or per element of a for_each step. Never deleted while its saga is unfinished or stuck.
CREATE TABLE IF NOT EXISTS amends_barrier (
    namespace       TEXT COLLATE "C" NOT NULL,
    saga_id         TEXT COLLATE "C" NOT NULL,
    step            TEXT COLLATE "C" NOT NULL,
    element         TEXT COLLATE "C" NOT NULL,  -- '' where the step has no elements
    -- 'absent': a row that was made only to be locked, and on which nothing was recorded. Reads as no row.
    status          TEXT NOT NULL CHECK (status IN ('absent', 'sealed', 'refused', 'pending', 'succeeded')),
    action_digest   BYTEA,
    action_reply    BYTEA,
    refusal_reason  TEXT,
    refusal_message TEXT,
    ending          TEXT CHECK (ending IN ('confirming', 'confirmed', 'compensating', 'compensated')),
    ending_digest   BYTEA,
    ending_reply    BYTEA,
    PRIMARY KEY (namespace, saga_id, step, element)
);

-- The highest epoch seen, per saga: a per-service maximum would refuse the owners of all other shards. Where the saga
-- comes from and when it began say when its rows may be swept.
CREATE TABLE IF NOT EXISTS amends_saga (
    namespace  TEXT COLLATE "C" NOT NULL,
    saga_id    TEXT COLLATE "C" NOT NULL,
    epoch      BIGINT NOT NULL,                 -- unsigned, stored as its two's complement
    first_seen BIGINT NOT NULL DEFAULT (extract(epoch FROM now())::bigint),
    store      TEXT COLLATE "C",                -- the coordinator's store; NULL: never swept
    begun      BIGINT,                          -- unix ms, by the coordinator's clock; NULL: never swept
    PRIMARY KEY (namespace, saga_id)
);

-- The highest floor by which rows of a store's sagas were swept, in unix ms. A call of a saga below it isn't let through.
CREATE TABLE IF NOT EXISTS amends_floor (
    store TEXT COLLATE "C" PRIMARY KEY,
    floor BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS amends_saga_by_age ON amends_saga (store, begun);
