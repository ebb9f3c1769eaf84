INSERT INTO executor_approvals (execution_id, trace_id, action, version, argv, parameters, digest,
    requester_kind, requester, requester_label, barred, reason, needed, given, groups, state,
    requested_at, expires_at)
SELECT execution_id, trace_id, action, version, argv, parameters, digest, requester_kind,
    requester, requester_label, barred, reason, needed, 0, groups, 'waiting', requested_at,
    requested_at + make_interval(secs => ttl_s)
FROM jsonb_to_recordset(%s::jsonb) AS r(
    execution_id text, trace_id uuid, action text, version integer, argv jsonb, parameters jsonb,
    digest text, requester_kind text, requester text, requester_label text, barred jsonb,
    reason text, needed smallint, groups jsonb, requested_at timestamptz, ttl_s float8)
