-- For anybody to check: balance + held = deposited, entries_sum = 0, points = points_awarded, and balance + held stays what it was.
-- clearing is part of balance; it is 0 when no transfer is being confirmed.
DROP VIEW IF EXISTS conservation;
CREATE VIEW conservation (kind, amount) AS
    SELECT 'balance', coalesce(sum(balance_minor), 0) FROM accounts WHERE account_id NOT IN ('world', 'held')
    UNION ALL SELECT 'held', coalesce(sum(amount_minor), 0) FROM holds WHERE state = 'held'
    UNION ALL SELECT 'deposited', coalesce(sum(amount_minor), 0) FROM deposits
    UNION ALL SELECT 'entries_sum', coalesce(sum(amount_minor), 0) FROM entries
    UNION ALL SELECT 'clearing', balance_minor FROM accounts WHERE account_id = 'clearing'
    UNION ALL SELECT 'incoming', coalesce(sum(amount_minor), 0) FROM credits WHERE state = 'reserved'
    UNION ALL SELECT 'points', coalesce(sum(points), 0) FROM point_entries
    UNION ALL SELECT 'points_awarded', coalesce(sum(points), 0) FROM awards WHERE state = 'awarded';
