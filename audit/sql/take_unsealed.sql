-- The next rows in line, taken out of the queue, each with its companion.
WITH taken AS (
    DELETE FROM audit_unsealed
    WHERE id IN (SELECT id FROM audit_unsealed ORDER BY id LIMIT %s)
    RETURNING id, trace_id
)
SELECT l.trace_id::text,
       CASE WHEN l."timestamp" >= '0001-01-01 00:00:00+00' AND l."timestamp" < '9999-12-31 00:00:00+00'
            THEN to_char(l."timestamp" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
            ELSE coalesce(l."timestamp"::text, '-infinity') END,
       l.reason_codes::text, l.session_id, l.user_ip,
       t.status, t.action, t.method, t.path, t.http_status, t.duration_ms, t.principal_kind,
       t.principal_label, t.key_prefix, t.execution_id, t.message, t.host, t.user_agent,
       t.detail, t.salt, x.commitments, taken.trace_id
FROM taken
LEFT JOIN audit_logs l ON l.trace_id = taken.trace_id
LEFT JOIN audit_traces t ON t.trace_id = taken.trace_id
LEFT JOIN audit_redactions x ON x.trace_id = taken.trace_id
ORDER BY taken.id
