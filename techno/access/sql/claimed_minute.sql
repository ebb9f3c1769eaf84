SELECT trace_id::text FROM access_refused_minutes WHERE name = %s
