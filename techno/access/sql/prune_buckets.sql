-- Forget buckets that have long been full again: asking for one makes it anew, full.
DELETE FROM access_rate_buckets
WHERE at < now() - interval '1 hour' - make_interval(secs => capacity / per_s)
RETURNING 1
