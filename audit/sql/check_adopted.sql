-- An audit_logs that exists must be the contract's table; anything else is refused before a
-- single object is made.
DO $$
DECLARE
    missing text;
BEGIN
    IF to_regclass('public.audit_logs') IS NULL THEN
        RETURN;
    END IF;
    SELECT string_agg(format('%s (%s)', wanted.name, array_to_string(wanted.types, ' or ')), ', ')
    INTO missing
    FROM (VALUES
        ('trace_id', ARRAY['uuid']),
        ('timestamp', ARRAY['timestamptz']),
        ('reason_codes', ARRAY['jsonb', 'json']),
        ('session_id', ARRAY['text', 'varchar', 'bpchar']),
        ('user_ip', ARRAY['text', 'varchar', 'bpchar'])
    ) AS wanted(name, types)
    WHERE NOT EXISTS (
        SELECT FROM information_schema.columns c
        WHERE c.table_schema = 'public' AND c.table_name = 'audit_logs'
          AND c.column_name = wanted.name AND c.udt_name = ANY (wanted.types)
    );
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'the existing table audit_logs cannot be adopted; these columns are missing or of another type: %', missing
            USING HINT = 'Rename that table, or give it the columns of the contract.';
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_index i JOIN pg_attribute a
            ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = 'public.audit_logs'::regclass AND i.indisunique AND i.indnkeyatts = 1
          AND a.attname = 'trace_id'
    ) THEN
        RAISE EXCEPTION 'the existing table audit_logs cannot be adopted: trace_id is not its primary key'
            USING HINT = 'Add a primary key on trace_id.';
    END IF;
END
$$;
