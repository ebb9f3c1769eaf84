SELECT execution_id FROM command_runs
WHERE execution_id IN (SELECT r ->> 'execution_id' FROM jsonb_array_elements(%s::jsonb) AS r)
