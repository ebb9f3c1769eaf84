INSERT INTO access_refused_minutes (name, subject, minute, trace_id, about)
SELECT r.name, r.subject, r.minute, r.trace_id, r.about
FROM jsonb_to_recordset(%s::jsonb) AS r(
    name text, subject text, minute bigint, trace_id uuid, about jsonb)
