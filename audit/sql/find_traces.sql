SELECT l.trace_id::text
FROM audit_logs l
WHERE l.trace_id IN (SELECT (r ->> 'trace_id')::uuid FROM jsonb_array_elements(%s::jsonb) AS r)
