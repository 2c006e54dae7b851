-- Evidence that no operation took effect twice. Written by the business code, in the same transaction as the effect and
-- without the barrier's help, so that a broken barrier shows here.
CREATE TABLE IF NOT EXISTS effect_log (
    effect_id INTEGER PRIMARY KEY,
    namespace TEXT NOT NULL,
    saga_id   TEXT NOT NULL,
    step      TEXT NOT NULL,
    element   TEXT NOT NULL,            -- '' where the step has no elements
    operation TEXT NOT NULL
) STRICT;

-- One line per operation that took effect; more than 1 in `count` is a broken promise.
CREATE VIEW IF NOT EXISTS effects (namespace, saga_id, step, element, operation, count) AS
    SELECT namespace, saga_id, step, element, operation, count(*)
    FROM effect_log
    GROUP BY namespace, saga_id, step, element, operation;
