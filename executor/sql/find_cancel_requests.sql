SELECT execution_id FROM command_runs
WHERE (cancel_requested_at IS NOT NULL OR state = 'ended')
  AND execution_id IN (SELECT r ->> 'execution_id' FROM jsonb_array_elements(%s::jsonb) AS r)
