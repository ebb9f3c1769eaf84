-- A range of leaves, each with the row and companion that it stands for, in take_unsealed's
-- columns. The range is bounded on the leaves alone; rows are found by their keys.
SELECT l.trace_id, l."timestamp", l.reason_codes, l.session_id, l.user_ip,
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
