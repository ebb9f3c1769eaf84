-- Another writer's rows of a choice that still hold personal values.
SELECT count(*) FROM audit_traces t
WHERE t.principal_kind = 'external' AND (t.session_id <> '' OR t.user_ip <> '')
  AND t."timestamp" < %(before)s
  AND (%(session_id)s = '' OR t.session_id = %(session_id)s)
  AND (%(user_ip)s = '' OR t.user_ip = %(user_ip)s)
