-- A digest made anew in today's way, unless somebody did so before us. Parameters: new digest,
-- prefix, the digest that was found.
UPDATE access_api_keys SET digest = %s WHERE prefix = %s AND digest = %s RETURNING prefix
