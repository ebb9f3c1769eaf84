-- The next rows in the order of ids.
INSERT INTO audit_logs_twin
SELECT * FROM audit_logs
WHERE trace_id > coalesce(
    (SELECT trace_id FROM audit_logs_twin ORDER BY trace_id DESC LIMIT 1),
    '00000000-0000-0000-0000-000000000000')
ORDER BY trace_id
LIMIT %s
