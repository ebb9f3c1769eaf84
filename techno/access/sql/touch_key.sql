-- Who used the key last, to the minute. Parameters: address, agent, prefix.
UPDATE access_api_keys
SET last_used_at = now(), last_used_address = %s, last_used_agent = %s
WHERE prefix = %s AND (last_used_at IS NULL OR last_used_at < now() - interval '60 seconds')
RETURNING prefix
