SELECT execution_id FROM command_run_ends
WHERE execution_id IN (SELECT r ->> 'execution_id' FROM jsonb_array_elements(%s::jsonb) AS r)
