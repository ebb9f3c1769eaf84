DELETE FROM executor_idempotency WHERE at < now() - make_interval(secs => %s)
RETURNING 1
