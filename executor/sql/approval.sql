-- One approval with everything that was decided about it, and whether its run still waits.
SELECT a.action, a.version, a.digest, a.reason, a.needed, a.given, a.groups, a.state,
       a.requested_at, a.expires_at, a.expires_at <= now(), c.state,
       coalesce((SELECT jsonb_agg(jsonb_build_object(
                            'decision', d.decision, 'person', d.person, 'reason', d.reason,
                            'decided_at', to_char(d.decided_at AT TIME ZONE 'UTC',
                                                  'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
                        ORDER BY d.number)
                 FROM executor_approval_decisions d
                 WHERE d.execution_id = a.execution_id), '[]'::jsonb),
       a.barred, a.requester_kind, a.requester, a.requester_label
FROM executor_approvals a LEFT JOIN command_runs c USING (execution_id)
WHERE a.execution_id = %s
