-- Lease tokens of a bucket: refill it for the time that passed, put back what the asker did not
-- use of its last lease, and take what is wanted, but no more than a quarter of what is there: so
-- leases shrink as the bucket empties, down to one token, and nothing is granted that is not in
-- it. An asker who wants none only looks. Parameters: name, capacity, refill per second, capacity,
-- wanted, capacity; put back, wanted.
INSERT INTO access_rate_buckets AS b (name, capacity, per_s, level, granted, at)
SELECT %s, %s, %s, %s - g.n, g.n, now()
FROM (SELECT least(%s::float8, greatest(1, floor(%s::float8 / 4)))) AS g(n)
ON CONFLICT (name) DO UPDATE SET (capacity, per_s, level, granted, at) = (
    SELECT excluded.capacity, excluded.per_s, found.level - taken.n, taken.n, greatest(b.at, now())
    FROM (SELECT least(excluded.capacity,
                       b.level + %s + excluded.per_s
                           * greatest(0, extract(epoch FROM now() - b.at)::float8))) AS found(level),
         LATERAL (SELECT least(%s::float8, greatest(1, floor(found.level / 4)),
                               floor(found.level))) AS taken(n))
RETURNING granted, level
