SELECT execution_id FROM executor_approvals
WHERE state = 'waiting' AND expires_at <= now()
ORDER BY requested_at
LIMIT 100
