-- Rows never change. Privileges say the same; this holds for the tables' owner as well. One
-- change is let through, for the owner alone and in so many words: the erasure of personal
-- values, which leaves everything else as it is (docs/audit.md, "Erasing personal values").
CREATE FUNCTION audit_refuse_change_v1() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog
AS $$
DECLARE
    personal CONSTANT text[] := ARRAY['session_id', 'user_ip', 'user_agent', 'salt'];
BEGIN
    IF TG_OP = 'UPDATE' AND current_setting('techno.redaction', true) = 'on' THEN
        IF to_jsonb(OLD) - personal = to_jsonb(NEW) - personal
           AND (SELECT bool_and(value IN ('', 'null'::text))
                FROM jsonb_each_text(to_jsonb(NEW)) WHERE key = ANY (personal)) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'audit rows never change: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER audit_logs_no_change BEFORE UPDATE OR DELETE ON audit_logs
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_change_v1();
CREATE TRIGGER audit_logs_no_truncate BEFORE TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change_v1();
CREATE TRIGGER audit_traces_no_change BEFORE UPDATE OR DELETE ON audit_traces
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_change_v1();
CREATE TRIGGER audit_traces_no_truncate BEFORE TRUNCATE ON audit_traces
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change_v1();
CREATE TRIGGER audit_trace_codes_no_change BEFORE UPDATE OR DELETE ON audit_trace_codes
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_change_v1();
CREATE TRIGGER audit_trace_codes_no_truncate BEFORE TRUNCATE ON audit_trace_codes
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change_v1();

-- Gives companions to rows of audit_logs that came without: the status is the worst that any of
-- the row's codes stands for, BLOCKED for a code nobody defined, APPROVED when there is none.
CREATE FUNCTION audit_companions_v1(ids uuid[]) RETURNS void
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
        SELECT DISTINCT f.trace_id, f."timestamp", code.text AS code
        FROM foreign_rows f,
             LATERAL jsonb_array_elements_text(f.reason_codes) AS code(text)
    ), kept_codes AS (
        INSERT INTO audit_trace_codes (code, "timestamp", trace_id)
        SELECT left(code, 200), "timestamp", trace_id FROM codes WHERE code IS NOT NULL
        ON CONFLICT DO NOTHING
    ), worst AS (
        SELECT DISTINCT ON (c.trace_id) c.trace_id, coalesce(s.status, 'BLOCKED') AS status
        FROM codes c LEFT JOIN audit_code_statuses s USING (code)
        ORDER BY c.trace_id, coalesce(s.severity, 100) DESC
    )
    INSERT INTO audit_traces (trace_id, "timestamp", reason_codes, session_id, user_ip, status,
        action, method, path, principal_kind, principal_label, key_prefix, message, host,
        user_agent)
    SELECT f.trace_id, f."timestamp", f.reason_codes, f.session_id, f.user_ip,
           coalesce(w.status, 'APPROVED'),
           'external', '', '', 'external', '', '', '', '', ''
    FROM foreign_rows f LEFT JOIN worst w USING (trace_id)
$$;
REVOKE ALL ON FUNCTION audit_companions_v1(uuid[]) FROM PUBLIC;

CREATE FUNCTION audit_logs_inserted_v1() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
BEGIN
    -- Our own statement writes the companion itself; only other writers' rows lack one.
    IF EXISTS (
        SELECT FROM inserted i
        WHERE NOT EXISTS (SELECT FROM audit_traces t WHERE t.trace_id = i.trace_id)
    ) THEN
        PERFORM audit_companions_v1((SELECT array_agg(trace_id) FROM inserted));
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION audit_logs_inserted_v1() FROM PUBLIC;

CREATE TRIGGER audit_logs_inserted AFTER INSERT ON audit_logs
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION audit_logs_inserted_v1();

-- An adopted table's texts can be narrower than ours. These two cut to what fits; the companion
-- keeps the whole text.
DO $$
DECLARE
    fit record;
BEGIN
    FOR fit IN
        SELECT 'audit_fit_session_v1' AS name, 'session_id' AS column_name
        UNION ALL SELECT 'audit_fit_address_v1', 'user_ip'
    LOOP
        EXECUTE format(
            'CREATE FUNCTION %I(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE '
            'RETURN left(value, %s)',
            fit.name,
            coalesce((
                SELECT character_maximum_length FROM information_schema.columns
                WHERE table_schema = 'public' AND table_name = 'audit_logs'
                  AND column_name = fit.column_name), 1000000));
    END LOOP;
END
$$;
