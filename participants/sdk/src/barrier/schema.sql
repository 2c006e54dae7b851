-- The barrier's tables, in the participant's own database. The columns' order is used by barrier/sqlite.rs.

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

-- The highest epoch seen, per saga: a per-service maximum would refuse the owners of all other shards.
CREATE TABLE IF NOT EXISTS amends_saga (
    namespace  TEXT NOT NULL,
    saga_id    TEXT NOT NULL,
    epoch      INTEGER NOT NULL,        -- unsigned, stored as its two's complement
    first_seen INTEGER NOT NULL DEFAULT (unixepoch()),
    PRIMARY KEY (namespace, saga_id)
) STRICT, WITHOUT ROWID;
