SELECT trace_id::text FROM executor_idempotency
WHERE trace_id IN (SELECT (r ->> 'trace_id')::uuid FROM jsonb_array_elements(%s::jsonb) AS r)
