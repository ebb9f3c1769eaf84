-- Companions for the rows that an adopted table already holds, ten thousand at a time.
DO $$
DECLARE
    batch uuid[];
    after uuid := NULL;
BEGIN
    LOOP
        SELECT array_agg(l.trace_id ORDER BY l.trace_id) INTO batch
        FROM (
            SELECT trace_id FROM audit_logs
            WHERE after IS NULL OR trace_id > after
            ORDER BY trace_id LIMIT 10000
        ) AS l;
        EXIT WHEN batch IS NULL;
        PERFORM audit_companions_v1(batch);
        after := batch[cardinality(batch)];
    END LOOP;
END
$$;
