SELECT 1 FROM command_run_output WHERE execution_id = %s LIMIT 1
