-- The newest minute of an address, before a given one, whose count is not on record.
SELECT name, minute, trace_id::text, refused FROM access_refused_minutes AS m
WHERE minute < %s AND minute >= %s AND subject = %s AND refused > 0 AND name NOT LIKE 'told|%%'
  AND NOT EXISTS (SELECT FROM access_refused_minutes AS t WHERE t.name = 'told|' || m.name)
ORDER BY minute DESC LIMIT 1
