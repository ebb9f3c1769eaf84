-- The newest run of a key, with only the beginning of its output; null once that was removed.
SELECT action, CASE WHEN output_removed_at IS NULL THEN left(stdout, 65536) END,
       to_char(coalesce(started_at, requested_at) AT TIME ZONE 'UTC',
               'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
       CASE state WHEN 'ended' THEN status ELSE 'NEUTRAL' END, execution_id
FROM command_runs
WHERE key_prefix = %s
ORDER BY requested_at DESC
LIMIT 1
