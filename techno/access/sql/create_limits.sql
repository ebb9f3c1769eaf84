-- Buckets of tokens, one for each key or address with a rate. Unlogged: taking from one costs no
-- flush, and after a crash of the server all are full again. There is nothing to prove in them.
CREATE UNLOGGED TABLE access_rate_buckets (
    name text PRIMARY KEY,
    capacity float8 NOT NULL,
    per_s float8 NOT NULL,
    level float8 NOT NULL,
    granted float8 NOT NULL,
    at timestamptz NOT NULL
) WITH (fillfactor = 50);
