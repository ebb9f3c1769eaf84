-- Those of these runs that somebody wants to be stopped or has declared over.
SELECT execution_id, state, coalesce(cancel_requested_by, ''), coalesce(cancel_reason, '')
FROM command_runs
WHERE execution_id = ANY(%s) AND (cancel_requested_at IS NOT NULL OR state = 'ended')
