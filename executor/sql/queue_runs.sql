SELECT executor_queue_runs_v1(%s::jsonb)
