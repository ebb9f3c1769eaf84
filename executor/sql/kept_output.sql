SELECT stream, data FROM command_run_output
WHERE execution_id = %(run)s AND position < %(most)s ORDER BY position
