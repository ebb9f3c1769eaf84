-- Runs that may have lost whoever watched them: those of this host, to be asked of its process
-- table; those whose watcher has been silent, and those of any host that are long past their
-- time. A run that waits for its turn in a web process has a watcher too; one that waits in a
-- queue has none.
SELECT execution_id, trace_id::text, action, principal_kind, principal_label, key_prefix,
       session_id, user_ip, requested_at, host, worker, queue, state,
       state = 'running'
         AND greatest(requested_at, heartbeat_at) + make_interval(secs => timeout_s + 120) < now(),
       heartbeat_at::text,
       coalesce(heartbeat_at < now() - interval '15 s'
                AND pg_postmaster_start_time() < now() - interval '15 s', false)
FROM command_runs
WHERE state = 'running' OR (state = 'queued' AND queue = '')
ORDER BY requested_at
