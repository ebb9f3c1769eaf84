-- What was approved is not what would run now.
UPDATE executor_approvals SET state = 'void' WHERE execution_id = %s RETURNING execution_id
