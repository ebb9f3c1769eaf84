-- Rows that arrived behind the copy; nobody waits meanwhile.
INSERT INTO audit_logs_twin
SELECT l.* FROM audit_logs l
WHERE NOT EXISTS (SELECT FROM audit_logs_twin t WHERE t.trace_id = l.trace_id)
