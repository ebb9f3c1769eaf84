-- A partitioned twin of an adopted audit_logs: the same columns, defaults and key.
DO $$
DECLARE
    starts timestamptz;
BEGIN
    IF to_regclass('audit_logs_twin') IS NOT NULL THEN
        RETURN;
    END IF;
    CREATE TABLE audit_logs_twin (LIKE audit_logs INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
        PARTITION BY RANGE (trace_id);
    ALTER TABLE audit_logs_twin ADD PRIMARY KEY (trace_id);
    CREATE TABLE audit_logs_default PARTITION OF audit_logs_twin DEFAULT;
    starts := date_trunc('month', coalesce(
        (SELECT min("timestamp") FROM audit_logs), now()) AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
    WHILE starts < now() + interval '3 months' LOOP
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF audit_logs_twin FOR VALUES FROM (%L) TO (%L)',
            'audit_logs' || to_char(starts AT TIME ZONE 'UTC', '"_y"YYYY"m"MM'),
            audit_uuid_floor_v1(starts), audit_uuid_floor_v1(starts + interval '1 month'));
        starts := starts + interval '1 month';
    END LOOP;
END
$$;
