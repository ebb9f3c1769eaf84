-- Turns a queued run into a running one, for whoever watches it then; the one way to do so.
--
-- Answers 'started' with the run, 'mine' when this very worker was told so before (and the answer
-- was lost), 'gone' when the run waits no more, 'full' when a limit leaves no room. Of a limited
-- action it is not the caller's own run that starts, but the one whose turn it is among those
-- that the caller could run: its own, for a web process; any of the queue, for a worker.
CREATE FUNCTION executor_start_run_v2(
    wanted text, by_host text, by_worker text, runs_most integer,
    OUT outcome text, OUT execution_id text
) LANGUAGE plpgsql AS $$
DECLARE
    run record;
    chosen text := wanted;
    limited boolean;
    next_run text;
BEGIN
    execution_id := wanted;
    SELECT c.action, c.state, c.queue, c.worker, c.cancel_requested_at,
           coalesce(a.max_running, 0) AS max_running
    INTO run
    FROM command_runs c LEFT JOIN executor_actions a ON a.name = c.action
    WHERE c.execution_id = wanted;
    IF NOT FOUND THEN outcome := 'gone'; RETURN; END IF;
    IF run.state = 'running' AND run.worker = by_worker THEN outcome := 'mine'; RETURN; END IF;
    limited := run.max_running > 0 OR runs_most > 0;
    IF run.cancel_requested_at IS NOT NULL OR (run.state <> 'queued' AND NOT limited) THEN
        outcome := 'gone'; RETURN;
    END IF;
    -- The counts below see what everybody before us committed: each statement looks anew.
    IF runs_most > 0 THEN
        PERFORM pg_advisory_xact_lock(7305128, 0);
        IF (SELECT count(*) FROM command_runs c WHERE c.state = 'running') >= runs_most THEN
            outcome := 'full'; RETURN;
        END IF;
    END IF;
    IF run.max_running > 0 THEN
        PERFORM pg_advisory_xact_lock(7305129, hashtext(run.action));
        IF (SELECT count(*) FROM command_runs c
            WHERE c.state = 'running' AND c.action = run.action) >= run.max_running THEN
            outcome := 'full'; RETURN;
        END IF;
    END IF;
    IF runs_most > 0 AND run.queue = '' THEN
        -- Room that all share goes to the caller who was served least recently, whatever was asked
        -- for. One order for all: with another one inside of each action, two callers could wait
        -- for each other until both give up.
        SELECT c.execution_id INTO next_run
        FROM command_runs c
        LEFT JOIN executor_actions a ON a.name = c.action
        LEFT JOIN (
            SELECT caller, max(served_at) AS served_at FROM executor_turns GROUP BY caller
        ) t ON t.caller = c.principal_kind || ':' || c.key_prefix
        WHERE c.state = 'queued' AND c.queue = '' AND c.cancel_requested_at IS NULL
          AND c.heartbeat_at > now() - interval '15 s'
          AND (coalesce(a.max_running, 0) = 0 OR a.max_running > (
              SELECT count(*) FROM command_runs r
              WHERE r.state = 'running' AND r.action = c.action))
        ORDER BY t.served_at NULLS FIRST, c.requested_at
        LIMIT 1;
        IF next_run IS NULL THEN outcome := 'gone'; RETURN; END IF;
        IF next_run <> wanted THEN outcome := 'full'; RETURN; END IF;
    ELSIF limited THEN
        SELECT c.execution_id INTO chosen
        FROM command_runs c LEFT JOIN executor_turns t
            ON t.action = c.action AND t.caller = c.principal_kind || ':' || c.key_prefix
        WHERE c.state = 'queued' AND c.action = run.action AND c.queue = run.queue
          AND c.cancel_requested_at IS NULL
          AND (c.queue <> '' OR c.heartbeat_at > now() - interval '15 s')
        ORDER BY t.served_at NULLS FIRST, c.requested_at
        LIMIT 1;
        IF chosen IS NULL THEN outcome := 'gone'; RETURN; END IF;
        IF run.queue = '' AND chosen <> wanted THEN outcome := 'full'; RETURN; END IF;
    END IF;
    UPDATE command_runs c
    SET state = 'running', host = by_host, worker = by_worker, heartbeat_at = clock_timestamp()
    WHERE c.execution_id = chosen AND c.state = 'queued' AND c.cancel_requested_at IS NULL;
    IF NOT FOUND THEN outcome := 'gone'; RETURN; END IF;
    IF limited THEN
        INSERT INTO executor_turns (action, caller, served_at)
        SELECT c.action, c.principal_kind || ':' || c.key_prefix, clock_timestamp()
        FROM command_runs c WHERE c.execution_id = chosen
        ON CONFLICT (action, caller) DO UPDATE SET served_at = excluded.served_at;
    END IF;
    outcome := 'started';
    execution_id := chosen;
END;
$$;
