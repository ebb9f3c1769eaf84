-- Runs that nobody watches any more: those of this host, to be asked of its process table, and
-- those of any host that are long past their time.
SELECT execution_id, trace_id::text, action, principal_kind, principal_label, key_prefix,
       session_id, user_ip, requested_at, host, worker,
       requested_at + make_interval(secs => timeout_s + 120) < now() AS overdue
FROM command_runs
WHERE state = 'running'
ORDER BY requested_at
