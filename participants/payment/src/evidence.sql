-- For anybody to check: charged - refunded + qr_captured = receivable, qr_paid - qr_refunded - qr_captured = qr_held,
-- entries_sum = 0.
DROP VIEW IF EXISTS conservation;
CREATE VIEW conservation (kind, amount) AS
    SELECT 'charged', coalesce(sum(amount_minor), 0) FROM charges
    UNION ALL SELECT 'refunded', coalesce(sum(amount_minor), 0) FROM charges WHERE state = 'refunded'
    UNION ALL SELECT 'qr_paid', coalesce(sum(amount_minor), 0) FROM qr_payments WHERE confirmation_id IS NOT NULL
    UNION ALL SELECT 'qr_refunded', coalesce(sum(amount_minor), 0) FROM qr_payments WHERE state = 'refunded'
    UNION ALL SELECT 'qr_captured', coalesce(sum(amount_minor), 0) FROM qr_payments WHERE state = 'captured'
    UNION ALL SELECT 'qr_held', coalesce(sum(amount_minor), 0) FROM entries WHERE account_id = 'qr-clearing'
    UNION ALL SELECT 'receivable', coalesce(sum(amount_minor), 0) FROM entries WHERE account_id = 'merchant-receivable'
    UNION ALL SELECT 'entries_sum', coalesce(sum(amount_minor), 0) FROM entries;
