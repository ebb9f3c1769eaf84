SELECT trace_id::text, action, principal_kind, principal_label, key_prefix, session_id, user_ip,
       queue
FROM command_runs WHERE execution_id = %s
