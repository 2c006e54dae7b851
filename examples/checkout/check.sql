-- Recomputes every field of the report of `amends demo --for … --data DIR` from the four databases in DIR:
--
--     cd DIR && sqlite3 < path/to/check.sql
--
-- Nothing is taken from the report: what was started and how it ended is what the coordinator has stored, money before is what
-- was ever paid in, stock before is what was ever put on the shelf, and what is there now is counted row by row.

ATTACH 'coordinator/amends.db' AS amends;
ATTACH 'account.db' AS account;
ATTACH 'inventory.db' AS inventory;

SELECT
  (SELECT count(*) FROM amends.saga)                                                      AS started,
  (SELECT count(*) FROM amends.saga WHERE status = 'completed')                           AS completed,
  (SELECT count(*) FROM amends.saga WHERE status = 'compensated')                         AS compensated,
  (SELECT count(*) FROM amends.saga WHERE status = 'stuck')                               AS stuck,
  (SELECT count(*) FROM amends.saga WHERE open AND status <> 'stuck')                     AS open,
  (SELECT coalesce(sum(amount_minor), 0) FROM account.deposits)                           AS money_before,
  (SELECT coalesce(sum(amount_minor), 0) FROM account.entries WHERE account_id <> 'world') AS money_after,
  (SELECT coalesce(sum(quantity), 0) FROM inventory.stocked)                              AS stock_before,
  (SELECT coalesce(sum(available), 0) FROM inventory.stock)                               AS stock_after,
  (SELECT coalesce(sum(quantity), 0) FROM inventory.reservations WHERE NOT released)      AS sold,
  (SELECT coalesce(sum(amount_minor), 0) FROM account.holds WHERE state = 'held')         AS held_after;
