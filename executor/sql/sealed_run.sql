SELECT sealed FROM command_runs WHERE execution_id = %s
