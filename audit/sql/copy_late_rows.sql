-- Rows that were committed since the last look: each still waits for its leaf, or got it since.
WITH late AS (
    SELECT trace_id FROM audit_unsealed
    UNION
    SELECT trace_id FROM audit_leaves WHERE leaf_index >= %s
)
INSERT INTO audit_logs_twin
SELECT l.* FROM late JOIN audit_logs l ON l.trace_id = late.trace_id
WHERE NOT EXISTS (SELECT FROM audit_logs_twin t WHERE t.trace_id = l.trace_id)
