-- Runs that wait for approval: recorded, and not to be started by anybody yet.
INSERT INTO command_runs (execution_id, trace_id, action, version, argv, parameters, state, status,
    reason_codes, principal_kind, principal_label, key_prefix, session_id, user_ip, timeout_s,
    requested_at, stdout, stderr, output_bytes, truncated, detail, host, worker, queue,
    idempotency_key, sealed)
SELECT execution_id, trace_id, action, version, argv, parameters, 'waiting', '', '[]'::jsonb,
    principal_kind, principal_label, key_prefix, session_id, user_ip, timeout_s,
    requested_at, '', '', 0, false, '', '', '', queue, idempotency_key, sealed
FROM jsonb_to_recordset(%s::jsonb) AS r(
    execution_id text, trace_id uuid, action text, version integer, argv jsonb, parameters jsonb,
    principal_kind text, principal_label text, key_prefix text, session_id text, user_ip text,
    timeout_s float8, requested_at timestamptz, queue text, idempotency_key text, sealed text)
