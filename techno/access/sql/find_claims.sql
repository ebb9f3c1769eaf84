SELECT name FROM access_refused_minutes
WHERE name IN (SELECT r ->> 'name' FROM jsonb_array_elements(%s::jsonb) AS r)
