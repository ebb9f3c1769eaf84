-- Says that these runs are still watched, and returns those that somebody wants to be stopped or
-- has declared over.
WITH renewed AS (
    UPDATE command_runs SET heartbeat_at = clock_timestamp()
    WHERE execution_id = ANY(%s) AND state <> 'ended'
)
SELECT execution_id, state, coalesce(cancel_requested_by, ''), coalesce(cancel_reason, '')
FROM command_runs
WHERE execution_id = ANY(%s) AND (cancel_requested_at IS NOT NULL OR state = 'ended')
