-- The wish that runs be stopped; the first who wishes it is named. Their watchers are told.
WITH given AS (
    SELECT * FROM jsonb_to_recordset(%s::jsonb) AS r(
        execution_id text, at timestamptz, by text, reason text)
), noted AS (
    UPDATE command_runs c
    SET cancel_requested_at = r.at, cancel_requested_by = r.by, cancel_reason = r.reason
    FROM given r
    WHERE c.execution_id = r.execution_id AND c.state <> 'ended'
      AND c.cancel_requested_at IS NULL
    RETURNING c.execution_id
)
SELECT pg_notify('techno_runs', execution_id) FROM noted
