-- Stretches of output. One that is there already is the same one: its writer could not know.
INSERT INTO command_run_output (execution_id, position, stream, data)
SELECT execution_id, position, stream, decode(data, 'base64')
FROM jsonb_to_recordset(%s::jsonb) AS r(
    execution_id text, position bigint, stream text, data text)
ON CONFLICT (execution_id, position) DO NOTHING
