-- The digest of a key by its public prefix, or a given one for a prefix that nobody has: one row
-- of one text either way, so that the answer takes as long.
SELECT coalesce((SELECT digest FROM access_api_keys WHERE prefix = %s), %s::text)
