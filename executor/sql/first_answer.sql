SELECT fingerprint, trace_id::text, execution_id, status, reason_codes, http_status, message,
       at < now() - make_interval(secs => %s)
FROM executor_idempotency WHERE caller = %s AND idempotency_key = %s
