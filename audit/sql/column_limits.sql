-- How many characters the two free texts may have: an adopted table can be narrower than ours.
SELECT column_name, character_maximum_length
FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = 'audit_logs'
  AND column_name IN ('session_id', 'user_ip') AND character_maximum_length IS NOT NULL
