-- The ends of a batch of runs. A run that was closed already keeps its first end.
UPDATE command_runs c
SET state = 'ended', status = r.status, reason_codes = r.reason_codes,
    started_at = r.started_at, ended_at = r.ended_at, duration_ms = r.duration_ms,
    exit_code = r.exit_code, signal = r.signal, stdout = r.stdout, stderr = r.stderr,
    output_bytes = r.output_bytes, truncated = r.truncated, detail = r.detail
FROM jsonb_to_recordset(%s::jsonb) AS r(
    execution_id text, status text, reason_codes jsonb, started_at timestamptz,
    ended_at timestamptz, duration_ms integer, exit_code integer, signal integer, stdout text,
    stderr text, output_bytes bigint, truncated boolean, detail text)
WHERE c.execution_id = r.execution_id AND c.state <> 'ended'
