-- Take one of a key's places that this session does not hold yet, by an advisory lock that ends
-- with the session. Parameters: how many places, those held, the key's number.
SELECT place FROM generate_series(0, %s::int - 1) AS place
WHERE CASE WHEN place = ANY (%s::int[]) THEN false
           ELSE pg_try_advisory_lock(%s::int, place) END
LIMIT 1
