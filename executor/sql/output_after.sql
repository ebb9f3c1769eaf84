-- The stretches of a run from the one that holds a position on, as far as so many bytes go.
WITH begun AS (
    SELECT coalesce(max(position), 0) AS position FROM command_run_output
    WHERE execution_id = %(run)s AND position <= %(after)s
)
SELECT o.position, o.stream, o.data
FROM command_run_output o, begun b
WHERE o.execution_id = %(run)s AND o.position >= b.position
  AND o.position + octet_length(o.data) > %(after)s
  AND o.position < %(after)s + %(most)s
ORDER BY o.position
