-- Lets a run of a limited action in, or not: 'queued' when its row now stands, 'full' when the
-- action has as many waiting as it may, or does not want any to wait. With a queue, its workers
-- are told.
--
-- What waits and what runs is counted under the lock that whoever starts a run takes too.
CREATE FUNCTION executor_enter_queue_v1(
    run jsonb, remembered jsonb, max_running integer, max_queued integer, refuses boolean,
    runs_most integer
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    running bigint;
    waiting bigint;
BEGIN
    IF runs_most > 0 THEN PERFORM pg_advisory_xact_lock(7305128, 0); END IF;
    PERFORM pg_advisory_xact_lock(7305129, hashtext(run ->> 'action'));
    SELECT count(*) INTO running FROM command_runs c
    WHERE c.state = 'running' AND c.action = run ->> 'action';
    SELECT count(*) INTO waiting FROM command_runs c
    WHERE c.state = 'queued' AND c.action = run ->> 'action'
      AND (c.queue <> '' OR c.heartbeat_at > now() - interval '15 s');
    IF refuses AND ((max_running > 0 AND running + waiting >= max_running)
        OR (runs_most > 0
            AND (SELECT count(*) FROM command_runs c WHERE c.state = 'running') >= runs_most))
    THEN
        RETURN 'full';
    END IF;
    IF max_queued > 0 AND waiting >= max_queued AND running >= max_running THEN
        RETURN 'full';
    END IF;
    PERFORM executor_queue_runs_v1(jsonb_build_array(run));
    IF remembered IS NOT NULL THEN
        PERFORM executor_remember_v1(jsonb_build_array(remembered));
    END IF;
    RETURN 'queued';
END;
$$;
