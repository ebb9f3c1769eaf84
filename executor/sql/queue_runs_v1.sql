-- The intents of runs that shall wait, and for those with a queue the jobs that bring them to a
-- worker. A job is only a nudge: what is run, and whether, stands in the run's row.
CREATE FUNCTION executor_queue_runs_v1(given jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO command_runs (execution_id, trace_id, action, version, argv, parameters,
        state, status, reason_codes, principal_kind, principal_label, key_prefix, session_id,
        user_ip, timeout_s, requested_at, heartbeat_at, stdout, stderr, output_bytes,
        truncated, detail, host, worker, queue, idempotency_key, sealed)
    SELECT r.execution_id, r.trace_id, r.action, r.version, r.argv,
        coalesce(r.parameters, '{}'::jsonb), 'queued', '', '[]'::jsonb,
        r.principal_kind, r.principal_label, r.key_prefix, r.session_id, r.user_ip,
        r.timeout_s, r.requested_at, clock_timestamp(), '', '', 0, false, '', r.host,
        r.worker, r.queue, r.idempotency_key, r.sealed
    FROM jsonb_to_recordset(given) AS r(
        execution_id text, trace_id uuid, action text, version integer, argv jsonb,
        parameters jsonb, principal_kind text, principal_label text, key_prefix text,
        session_id text, user_ip text, timeout_s float8, requested_at timestamptz, host text,
        worker text, queue text, idempotency_key text, sealed text);
    PERFORM executor_deliver_v1(array_agg(ARRAY[r.execution_id, r.queue]))
    FROM jsonb_to_recordset(given) AS r(execution_id text, queue text)
    WHERE r.queue <> '';
END;
$$;
