-- Minutes that no later row will tell of: the address has kept quiet since, or nobody told in time.
SELECT name, subject, minute, trace_id::text, refused, about::text
FROM access_refused_minutes AS m
WHERE minute < %(before)s AND refused > 0 AND name NOT LIKE 'told|%%'
  AND NOT EXISTS (SELECT FROM access_refused_minutes AS t WHERE t.name = 'told|' || m.name)
  AND (minute < %(late)s OR NOT EXISTS (
      SELECT FROM access_refused_minutes AS l
      WHERE l.minute >= %(before)s AND l.subject = m.subject AND l.name NOT LIKE 'told|%%'))
ORDER BY minute LIMIT 100
