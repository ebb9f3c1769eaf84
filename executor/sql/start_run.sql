SELECT outcome, execution_id FROM executor_start_run_v2(%s, %s, %s, %s)
