-- The row, its companion and its codes, for a whole batch in one statement. Plain INSERT: a
-- second row with the same trace_id must fail, never overwrite.
WITH batch AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%s::jsonb) AS r(
        trace_id uuid, "timestamp" timestamptz, reason_codes jsonb, session_id text, user_ip text,
        status text, action text, method text, path text, http_status smallint,
        duration_ms integer, principal_kind text, principal_label text, key_prefix text,
        execution_id text, message text, host text, user_agent text, detail jsonb, salt text)
), companions AS (
    INSERT INTO audit_traces (trace_id, "timestamp", reason_codes, session_id, user_ip, status,
        action, method, path, http_status, duration_ms, principal_kind, principal_label,
        key_prefix, execution_id, message, host, user_agent, detail, salt)
    SELECT trace_id, "timestamp", reason_codes, session_id, user_ip, status,
        action, method, path, http_status, duration_ms, principal_kind, principal_label,
        key_prefix, execution_id, message, host, user_agent, detail, salt
    FROM batch
), codes AS (
    INSERT INTO audit_trace_codes (code, also, "timestamp", trace_id, status, action, key_prefix,
        session_id, user_ip)
    SELECT c.code, c.also, "timestamp", trace_id, status, action, key_prefix, session_id, user_ip
    FROM batch, LATERAL audit_code_pairs_v1(reason_codes) AS c
    WHERE reason_codes <> '[]'::jsonb
)
INSERT INTO audit_logs (trace_id, "timestamp", reason_codes, session_id, user_ip)
SELECT trace_id, "timestamp", reason_codes, audit_fit_session_v1(session_id),
       audit_fit_address_v1(user_ip)
FROM batch
