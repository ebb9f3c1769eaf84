SELECT executor_enter_queue_v1(%s::jsonb, %s::jsonb, %s, %s, %s, %s)
