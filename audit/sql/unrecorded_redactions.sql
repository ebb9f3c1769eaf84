-- Erasures that no audit row tells of: nobody decided them on record.
SELECT x.trace_id::text
FROM audit_redactions x
WHERE NOT EXISTS (
    SELECT FROM audit_traces t WHERE t.trace_id = x.recorded_in AND t.action = 'audit.redact')
LIMIT %s
