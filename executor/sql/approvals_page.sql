-- A page of approvals, newest first. An empty or null parameter restricts nothing.
SELECT a.execution_id, a.trace_id::text, a.action, a.version, a.argv, a.parameters,
       a.requester_kind, a.requester_label, a.reason, a.needed, a.given, a.groups,
       CASE WHEN a.state = 'waiting' AND a.expires_at <= now() THEN 'lapsed' ELSE a.state END,
       a.requested_at, a.expires_at, a.settled_at
FROM executor_approvals a
WHERE (%(requester)s::text IS NULL OR a.requester = %(requester)s)
  AND (%(action)s::text IS NULL OR a.action = %(action)s)
  AND (%(state)s::text IS NULL OR a.state = %(state)s)
  AND (%(at)s::timestamptz IS NULL
       OR (a.requested_at, a.execution_id) < (%(at)s::timestamptz, %(identity)s))
ORDER BY a.requested_at DESC, a.execution_id DESC
LIMIT %(limit)s
