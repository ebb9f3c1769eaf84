-- Lists behind a reason code and something else. Only rows with codes have entries here, and those
-- are few, so what every other filter asks for stands in the entry, and a list never has to look
-- at rows that it does not show. `also` pairs a code with another one of the same row that comes
-- after it; it is empty in the entry of the code alone.
ALTER TABLE audit_trace_codes
    ADD COLUMN also       text NOT NULL DEFAULT '',
    ADD COLUMN status     text NOT NULL DEFAULT '',
    ADD COLUMN action     text NOT NULL DEFAULT '',
    ADD COLUMN key_prefix text NOT NULL DEFAULT '',
    ADD COLUMN session_id text NOT NULL DEFAULT '',
    ADD COLUMN user_ip    text NOT NULL DEFAULT '';

-- A row's codes and their pairs. Of rows with more codes than anybody of ours gives, the codes
-- alone: another writer shall not make a thousand entries by a row of forty.
CREATE FUNCTION audit_code_pairs_v1(codes jsonb) RETURNS TABLE (code text, also text)
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog
AS $$
    WITH each AS (
        SELECT DISTINCT left(e.text, 200) COLLATE "C" AS code
        FROM jsonb_array_elements_text(codes) AS e(text) WHERE e.text IS NOT NULL
    )
    SELECT code, '' FROM each
    UNION ALL
    SELECT a.code, b.code FROM each a JOIN each b ON b.code > a.code
    WHERE (SELECT count(*) FROM each) <= 32
$$;

ALTER TABLE audit_trace_codes DROP CONSTRAINT audit_trace_codes_pkey;
ALTER TABLE audit_trace_codes DISABLE TRIGGER audit_trace_codes_no_change;
UPDATE audit_trace_codes c
SET status = t.status, action = t.action, key_prefix = t.key_prefix, session_id = t.session_id,
    user_ip = t.user_ip
FROM audit_traces t WHERE t.trace_id = c.trace_id;
ALTER TABLE audit_trace_codes ENABLE TRIGGER audit_trace_codes_no_change;
INSERT INTO audit_trace_codes (code, also, "timestamp", trace_id, status, action, key_prefix,
    session_id, user_ip)
SELECT p.code, p.also, t."timestamp", t.trace_id, t.status, t.action, t.key_prefix, t.session_id,
    t.user_ip
FROM audit_traces t, LATERAL audit_code_pairs_v1(t.reason_codes) AS p
WHERE jsonb_array_length(t.reason_codes) > 1 AND p.also <> '';
ALTER TABLE audit_trace_codes
    ADD PRIMARY KEY (code, also, "timestamp", trace_id),
    ALTER COLUMN status DROP DEFAULT,
    ALTER COLUMN action DROP DEFAULT,
    ALTER COLUMN key_prefix DROP DEFAULT,
    ALTER COLUMN session_id DROP DEFAULT,
    ALTER COLUMN user_ip DROP DEFAULT;

CREATE INDEX audit_trace_codes_status ON audit_trace_codes (code, status, "timestamp", trace_id)
    WHERE also = '';
CREATE INDEX audit_trace_codes_action ON audit_trace_codes (code, action, "timestamp", trace_id)
    WHERE also = '';
CREATE INDEX audit_trace_codes_key ON audit_trace_codes (code, key_prefix, "timestamp", trace_id)
    WHERE also = '';
CREATE INDEX audit_trace_codes_session
    ON audit_trace_codes (code, session_id, "timestamp", trace_id) WHERE also = '';
CREATE INDEX audit_trace_codes_address ON audit_trace_codes (code, user_ip, "timestamp", trace_id)
    WHERE also = '';

-- Two filters of which neither says much alone. A key that never did what all others do all the
-- time would be looked for in its whole history.
CREATE INDEX audit_traces_key_action ON audit_traces (key_prefix, action, "timestamp", trace_id)
    WHERE key_prefix <> '';
CREATE INDEX audit_traces_refused_action ON audit_traces (status, action, "timestamp", trace_id)
    WHERE status <> 'APPROVED';
CREATE INDEX audit_traces_refused_key ON audit_traces (status, key_prefix, "timestamp", trace_id)
    WHERE status <> 'APPROVED' AND key_prefix <> '';

-- The second version of what gives companions to other writers' rows: with the entries above.
CREATE FUNCTION audit_companions_v2(ids uuid[]) RETURNS void
LANGUAGE sql
SET search_path = public, pg_temp
AS $$
    WITH foreign_rows AS (
        SELECT r.trace_id,
               coalesce(r."timestamp", 'epoch'::timestamptz) AS "timestamp",
               CASE WHEN jsonb_typeof(r.reason_codes::jsonb) = 'array'
                    THEN r.reason_codes::jsonb ELSE '["E_unknown"]'::jsonb END AS reason_codes,
               coalesce(r.session_id::text, '') AS session_id,
               coalesce(r.user_ip::text, '') AS user_ip
        FROM audit_logs r
        WHERE r.trace_id = ANY (ids)
          AND NOT EXISTS (SELECT FROM audit_traces t WHERE t.trace_id = r.trace_id)
    ), codes AS (
        SELECT f.*, p.code, p.also
        FROM foreign_rows f, LATERAL audit_code_pairs_v1(f.reason_codes) AS p
    ), worst AS (
        SELECT DISTINCT ON (c.trace_id) c.trace_id, coalesce(s.status, 'BLOCKED') AS status
        FROM codes c LEFT JOIN audit_code_statuses s USING (code)
        WHERE c.also = ''
        ORDER BY c.trace_id, coalesce(s.severity, 100) DESC
    ), kept_codes AS (
        INSERT INTO audit_trace_codes (code, also, "timestamp", trace_id, status, action,
            key_prefix, session_id, user_ip)
        SELECT c.code, c.also, c."timestamp", c.trace_id, w.status, 'external', '', c.session_id,
               c.user_ip
        FROM codes c JOIN worst w USING (trace_id)
        ON CONFLICT DO NOTHING
    )
    INSERT INTO audit_traces (trace_id, "timestamp", reason_codes, session_id, user_ip, status,
        action, method, path, principal_kind, principal_label, key_prefix, message, host,
        user_agent)
    SELECT f.trace_id, f."timestamp", f.reason_codes, f.session_id, f.user_ip,
           coalesce(w.status, 'APPROVED'),
           'external', '', '', 'external', '', '', '', '', ''
    FROM foreign_rows f LEFT JOIN worst w USING (trace_id)
$$;
REVOKE ALL ON FUNCTION audit_companions_v2(uuid[]) FROM PUBLIC;

CREATE FUNCTION audit_logs_inserted_v3() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
BEGIN
    IF EXISTS (
        SELECT FROM inserted i
        WHERE NOT EXISTS (SELECT FROM audit_traces t WHERE t.trace_id = i.trace_id)
    ) THEN
        PERFORM audit_companions_v2((SELECT array_agg(trace_id) FROM inserted));
    END IF;
    INSERT INTO audit_unsealed (trace_id) SELECT trace_id FROM inserted;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION audit_logs_inserted_v3() FROM PUBLIC;
DROP TRIGGER audit_logs_inserted ON audit_logs;
CREATE TRIGGER audit_logs_inserted AFTER INSERT ON audit_logs
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION audit_logs_inserted_v3();
DROP FUNCTION audit_logs_inserted_v2();
DROP FUNCTION audit_companions_v1(uuid[]);
