DELETE FROM executor_idempotency
WHERE caller = %s AND idempotency_key = %s AND trace_id = %s::uuid
RETURNING 1
