SELECT executor_remember_v1(%s::jsonb)
