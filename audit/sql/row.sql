-- One row with its companion, in the columns of take_unsealed.sql.
SELECT l.trace_id, l."timestamp", l.reason_codes, l.session_id, l.user_ip,
       t.status, t.action, t.method, t.path, t.http_status, t.duration_ms, t.principal_kind,
       t.principal_label, t.key_prefix, t.execution_id, t.message, t.host, t.user_agent,
       t.detail, t.salt, x.commitments, l.trace_id
FROM audit_logs l
LEFT JOIN audit_traces t ON t.trace_id = l.trace_id
LEFT JOIN audit_redactions x ON x.trace_id = l.trace_id
WHERE l.trace_id = %s::uuid
