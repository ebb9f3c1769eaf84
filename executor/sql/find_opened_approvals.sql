SELECT execution_id FROM executor_approvals
WHERE execution_id IN (SELECT r ->> 'execution_id' FROM jsonb_array_elements(%s::jsonb) AS r)
