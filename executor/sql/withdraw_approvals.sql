-- Approvals whose run ended without them: somebody cancelled it while it waited.
UPDATE executor_approvals a SET state = 'withdrawn', settled_at = now()
FROM command_runs c
WHERE c.execution_id = a.execution_id AND c.state = 'ended' AND a.state = 'waiting'
RETURNING a.execution_id
