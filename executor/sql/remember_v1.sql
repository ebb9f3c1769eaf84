-- First answers, under the caller's own names for its requests. The key refuses a second one.
CREATE FUNCTION executor_remember_v1(given jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO executor_idempotency (caller, idempotency_key, fingerprint, trace_id,
        execution_id, status, reason_codes, http_status, message, at)
    SELECT r.caller, r.idempotency_key, r.fingerprint, r.trace_id, r.execution_id, r.status,
        r.reason_codes, r.http_status, r.message, r.at
    FROM jsonb_to_recordset(given) AS r(
        caller text, idempotency_key text, fingerprint text, trace_id uuid, execution_id text,
        status text, reason_codes jsonb, http_status integer, message text, at timestamptz)
$$;
