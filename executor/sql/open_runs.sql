-- The intents of a batch of runs, committed before any of their processes exists. Each was decided
-- on what its action said when it was last seen. Where the action has changed since, or is gone,
-- there is nothing to stand in the column "action", and its NOT NULL refuses the intent.
INSERT INTO command_runs (execution_id, trace_id, action, version, argv, parameters, state,
    status, reason_codes, principal_kind, principal_label, key_prefix, session_id, user_ip,
    timeout_s, requested_at, stdout, stderr, output_bytes, truncated, detail, host, worker,
    heartbeat_at, idempotency_key)
SELECT r.execution_id, r.trace_id, a.name, r.version, r.argv, coalesce(r.parameters, '{}'::jsonb),
    'running', '', '[]'::jsonb, r.principal_kind, r.principal_label, r.key_prefix, r.session_id,
    r.user_ip, r.timeout_s, r.requested_at, '', '', 0, false, '', r.host, r.worker,
    clock_timestamp(), r.idempotency_key
FROM jsonb_to_recordset(%s::jsonb) AS r(
    execution_id text, trace_id uuid, action text, seen text, version integer, argv jsonb,
    parameters jsonb, principal_kind text, principal_label text, key_prefix text, session_id text,
    user_ip text, timeout_s float8, requested_at timestamptz, host text, worker text,
    idempotency_key text)
LEFT JOIN executor_actions a
    ON a.name = r.action AND a.enabled AND a.xmin::text = r.seen
