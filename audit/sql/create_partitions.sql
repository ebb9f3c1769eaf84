-- The smallest UUIDv7 of a moment.
CREATE FUNCTION audit_uuid_floor_v1(at timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog
AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0')
            || '00000000000000000000')::uuid
$$;

-- Makes the monthly partitions from `behind` months ago to `ahead` months from now, where they
-- are missing, and returns how many it made. A month whose rows stand in the default partition
-- already is left there: those rows are found all the same.
CREATE FUNCTION audit_make_partitions_v1(behind integer, ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    parent text;
    child  text;
    starts timestamptz;
    made   integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('audit_make_partitions'));
    FOREACH parent IN ARRAY ARRAY['audit_logs', 'audit_traces', 'audit_trace_codes'] LOOP
        CONTINUE WHEN (SELECT relkind FROM pg_class WHERE oid = parent::regclass) <> 'p';
        IF to_regclass(parent || '_default') IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', parent || '_default', parent);
            made := made + 1;
        END IF;
        FOR month IN -behind..ahead LOOP
            starts := date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
                      + make_interval(months => month);
            child := parent || to_char(starts AT TIME ZONE 'UTC', '"_y"YYYY"m"MM');
            CONTINUE WHEN to_regclass(child) IS NOT NULL;
            BEGIN
                EXECUTE format(
                    'CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                    child, parent, audit_uuid_floor_v1(starts),
                    audit_uuid_floor_v1(starts + interval '1 month'));
                made := made + 1;
            EXCEPTION WHEN check_violation THEN
                RAISE NOTICE 'rows of % stand in the default partition and stay there', child;
            END;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;
REVOKE ALL ON FUNCTION audit_make_partitions_v1(integer, integer) FROM PUBLIC;

SELECT audit_make_partitions_v1(0, 3);
