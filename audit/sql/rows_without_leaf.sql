-- Rows that are neither in the tree nor waiting for it: nobody's writer put them there.
SELECT l.trace_id::text
FROM audit_logs l
WHERE NOT EXISTS (SELECT FROM audit_leaves f WHERE f.trace_id = l.trace_id)
  AND NOT EXISTS (SELECT FROM audit_unsealed u WHERE u.trace_id = l.trace_id)
LIMIT %s
