SELECT outcome, execution_id FROM executor_start_run_v1(%s, %s, %s, %s)
