-- The same for all live keys, those that were used last first: for this host's copy of them.
SELECT prefix, digest, label, scopes, allowed_actions, allowed_networks, allowed_hours,
       rate_requests, rate_window_s, concurrent_most, extract(epoch FROM expires_at)::float8
FROM access_api_keys
WHERE revoked_at IS NULL AND suspended_at IS NULL AND (expires_at IS NULL OR expires_at > now())
ORDER BY last_used_at DESC NULLS LAST
LIMIT 10000
