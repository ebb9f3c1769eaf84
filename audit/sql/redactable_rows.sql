-- Sealed rows of a choice whose personal values are still there, in take_unsealed's columns.
SELECT l.trace_id::text,
       CASE WHEN l."timestamp" >= '0001-01-01 00:00:00+00' AND l."timestamp" < '9999-12-31 00:00:00+00'
            THEN to_char(l."timestamp" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
            ELSE coalesce(l."timestamp"::text, '-infinity') END,
       l.reason_codes::text, l.session_id, l.user_ip,
       t.status, t.action, t.method, t.path, t.http_status, t.duration_ms, t.principal_kind,
       t.principal_label, t.key_prefix, t.execution_id, t.message, t.host, t.user_agent,
       t.detail, t.salt, x.commitments, l.trace_id
FROM audit_logs l
JOIN audit_traces t ON t.trace_id = l.trace_id
LEFT JOIN audit_redactions x ON x.trace_id = l.trace_id
WHERE x.trace_id IS NULL AND t.salt <> '' AND t."timestamp" < %(before)s
  AND (%(session_id)s = '' OR t.session_id = %(session_id)s)
  AND (%(user_ip)s = '' OR t.user_ip = %(user_ip)s)
  AND EXISTS (SELECT FROM audit_leaves f WHERE f.trace_id = l.trace_id)
ORDER BY t."timestamp", t.trace_id
LIMIT %(limit)s
