-- A partitioned twin of an adopted audit_logs: the same columns, defaults, key and indexes. What
-- would go on pointing at the former table, or cannot be kept by a partitioned one, is refused.
DO $$
DECLARE
    starts    timestamptz;
    obstacles text;
BEGIN
    IF to_regclass('audit_logs_twin') IS NOT NULL THEN
        RETURN;
    END IF;
    SELECT string_agg(what, ', ' ORDER BY what) INTO obstacles FROM (
        SELECT 'the unique index ' || i.indexrelid::regclass::text
        FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = 'trace_id'
        WHERE i.indrelid = 'audit_logs'::regclass AND i.indisunique
          AND NOT a.attnum = ANY (i.indkey)
        UNION SELECT format('the foreign key %s of %s', conname, conrelid::regclass)
        FROM pg_constraint WHERE confrelid = 'audit_logs'::regclass AND contype = 'f'
        UNION SELECT 'the view ' || r.ev_class::regclass::text
        FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
        WHERE d.refobjid = 'audit_logs'::regclass AND d.classid = 'pg_rewrite'::regclass
        UNION SELECT 'the trigger ' || tgname
        FROM pg_trigger WHERE tgrelid = 'audit_logs'::regclass AND NOT tgisinternal
          AND tgname NOT IN ('audit_logs_no_change', 'audit_logs_no_truncate', 'audit_logs_inserted')
    ) AS found(what);
    IF obstacles IS NOT NULL THEN
        RAISE EXCEPTION 'audit_logs is left as it is, because of %', obstacles
            USING HINT = 'Drop them, partition the table, and make them again on the new one.';
    END IF;
    CREATE TABLE audit_logs_twin
        (LIKE audit_logs INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)
        PARTITION BY RANGE (trace_id);
    CREATE TABLE audit_logs_default PARTITION OF audit_logs_twin DEFAULT;
    starts := date_trunc('month', coalesce(
        (SELECT min("timestamp") FROM audit_traces
         WHERE trace_id = ANY (SELECT trace_id FROM audit_logs)
           AND substr(trace_id::text, 15, 1) = '7' AND isfinite("timestamp")),
        now()) AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
    WHILE starts < now() + interval '3 months' LOOP
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF audit_logs_twin FOR VALUES FROM (%L) TO (%L)',
            'audit_logs' || to_char(starts AT TIME ZONE 'UTC', '"_y"YYYY"m"MM'),
            audit_uuid_floor_v1(starts), audit_uuid_floor_v1(starts + interval '1 month'));
        starts := starts + interval '1 month';
    END LOOP;
END
$$;
