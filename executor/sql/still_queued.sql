SELECT 1 FROM command_runs WHERE execution_id = %s AND state = 'queued'
