DELETE FROM access_refused_minutes WHERE minute < %s RETURNING 1
