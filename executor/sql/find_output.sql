SELECT o.execution_id || ':' || o.position
FROM command_run_output o
JOIN jsonb_to_recordset(%s::jsonb) AS r(execution_id text, position bigint)
    USING (execution_id, position)
