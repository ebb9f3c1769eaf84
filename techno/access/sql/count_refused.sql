UPDATE access_refused_minutes SET refused = refused + %s WHERE name = %s RETURNING 1
