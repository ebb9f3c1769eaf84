-- Queued runs that must be ended: cancelled by somebody who did not live to do it, or forgotten.
SELECT execution_id, cancel_requested_at IS NOT NULL
FROM command_runs
WHERE state = 'queued' AND queue <> ''
  AND (cancel_requested_at < now() - interval '3 s'
       OR requested_at < now() - make_interval(secs => %s))
LIMIT 100
