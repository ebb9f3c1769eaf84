-- The newest stretches of what a run printed, newest first, as far as one look shows.
SELECT stream, data FROM command_run_output
WHERE execution_id = %s
ORDER BY position DESC
LIMIT 256
