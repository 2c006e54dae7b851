-- Evidence that no operation took effect twice, as in effects.sql.
CREATE TABLE IF NOT EXISTS effect_log (
    effect_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace TEXT NOT NULL,
    saga_id   TEXT NOT NULL,
    step      TEXT NOT NULL,
    element   TEXT NOT NULL,            -- '' where the step has no elements
    operation TEXT NOT NULL
);

-- One line per operation that took effect; more than 1 in `count` is a broken promise.
CREATE OR REPLACE VIEW effects (namespace, saga_id, step, element, operation, count) AS
    SELECT namespace, saga_id, step, element, operation, count(*)
    FROM effect_log
    GROUP BY namespace, saga_id, step, element, operation;
