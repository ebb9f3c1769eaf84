-- The entries of the rows' reason codes repeat what is erased; they are found by their whole key.
UPDATE audit_trace_codes c SET session_id = '', user_ip = ''
FROM audit_traces t, LATERAL audit_code_pairs_v1(t.reason_codes) AS p
WHERE t.trace_id = ANY (%s)
  AND c.code = p.code AND c.also = p.also AND c."timestamp" = t."timestamp"
  AND c.trace_id = t.trace_id AND (c.session_id <> '' OR c.user_ip <> '')
