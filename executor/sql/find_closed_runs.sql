SELECT execution_id FROM command_runs
WHERE state = 'ended'
  AND execution_id IN (SELECT r ->> 'execution_id' FROM jsonb_array_elements(%s::jsonb) AS r)
