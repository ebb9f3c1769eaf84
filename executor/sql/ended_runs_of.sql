-- Those of these runs that ended some time ago, so that nobody can be ending them still.
SELECT execution_id FROM command_runs
WHERE execution_id = ANY(%s) AND host = %s AND state = 'ended'
  AND ended_at < now() - interval '10 s'
