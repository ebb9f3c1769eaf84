-- A range of leaves, each with the row and companion that it stands for, in take_unsealed's
-- columns. The range is bounded on the leaves alone; rows are found by their keys.
SELECT l.trace_id::text,
       CASE WHEN l."timestamp" >= '0001-01-01 00:00:00+00' AND l."timestamp" < '9999-12-31 00:00:00+00'
            THEN to_char(l."timestamp" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
            ELSE coalesce(l."timestamp"::text, '-infinity') END,
       l.reason_codes::text, l.session_id, l.user_ip,
       t.status, t.action, t.method, t.path, t.http_status, t.duration_ms, t.principal_kind,
       t.principal_label, t.key_prefix, t.execution_id, t.message, t.host, t.user_agent,
       t.detail, t.salt, x.commitments, f.trace_id,
       f.leaf_index, f.version, f.hash,
       t.trace_id IS NOT NULL AND (t."timestamp" <> l."timestamp"
           OR t.reason_codes <> l.reason_codes::jsonb
           OR NOT starts_with(t.session_id, l.session_id)
           OR NOT starts_with(t.user_ip, l.user_ip)) AS copies_differ
FROM audit_leaves f
LEFT JOIN audit_logs l ON l.trace_id = f.trace_id
LEFT JOIN audit_traces t ON t.trace_id = f.trace_id
LEFT JOIN audit_redactions x ON x.trace_id = f.trace_id
WHERE f.leaf_index >= %s AND f.leaf_index < %s
ORDER BY f.leaf_index
