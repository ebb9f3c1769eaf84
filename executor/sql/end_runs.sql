-- The ends of queued runs, wherever they had got to. The key of command_run_ends lets one story
-- of each end through; the whole transaction of a second one fails.
WITH given AS (
    SELECT * FROM jsonb_to_recordset(%s::jsonb) AS r(
        execution_id text, end_trace_id uuid, status text, reason_codes jsonb,
        started_at timestamptz, ended_at timestamptz, duration_ms integer, exit_code integer,
        signal integer, stdout text, stderr text, output_bytes bigint, truncated boolean,
        detail text)
), told AS (
    INSERT INTO command_run_ends (execution_id, trace_id)
    SELECT execution_id, end_trace_id FROM given
)
UPDATE command_runs c
SET state = 'ended', status = r.status, reason_codes = r.reason_codes,
    started_at = r.started_at, ended_at = r.ended_at, duration_ms = r.duration_ms,
    exit_code = r.exit_code, signal = r.signal, stdout = r.stdout, stderr = r.stderr,
    output_bytes = r.output_bytes, truncated = r.truncated, detail = r.detail, sealed = ''
FROM given r
WHERE c.execution_id = r.execution_id AND c.state <> 'ended'
