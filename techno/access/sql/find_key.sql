-- A key by its public prefix, with all that decides whether and for what it is good.
SELECT digest, label, scopes, allowed_actions, allowed_networks, allowed_hours, rate_requests,
       rate_window_s, concurrent_most, suspended_at IS NOT NULL, revoked_at IS NOT NULL,
       extract(epoch FROM expires_at)::float8, extract(epoch FROM now())::float8
FROM access_api_keys WHERE prefix = %s
