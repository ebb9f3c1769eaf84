-- Empties the output store of runs that ended more than so many days ago: some of them, the oldest
-- first, about as many bytes as one transaction should remove. The rows of the runs stay.
-- Execution ids begin with the time of the request, so what was stored late (by a journal that came
-- home after its run had been emptied) is found without looking at younger runs.
WITH old AS (
    SELECT execution_id, ended_at,
           octet_length(stdout) + octet_length(stderr) AS bytes
    FROM command_runs
    WHERE output_removed_at IS NULL AND output_bytes > 0
      AND ended_at < now() - make_interval(days => %(days)s)
    ORDER BY ended_at
    LIMIT %(runs)s
), late AS (
    SELECT c.execution_id, c.ended_at, 0 AS bytes
    FROM (SELECT DISTINCT execution_id FROM command_run_output
          WHERE execution_id < %(before)s LIMIT %(runs)s) o
    JOIN command_runs c USING (execution_id)
    WHERE c.state = 'ended' AND c.ended_at < now() - make_interval(days => %(days)s)
      AND (c.output_bytes = 0 OR c.output_removed_at IS NOT NULL)
), due AS (
    SELECT execution_id, ended_at, bytes
    FROM (SELECT *, sum(bytes) OVER (ORDER BY ended_at, execution_id) - bytes AS bytes_before
          FROM (SELECT * FROM old UNION ALL SELECT * FROM late) both_kinds) counted
    WHERE bytes_before < %(bytes)s
), removed AS (
    DELETE FROM command_run_output o USING due d WHERE o.execution_id = d.execution_id
), emptied AS (
    UPDATE command_runs c
    SET stdout = '', stderr = '', output_removed_at = coalesce(c.output_removed_at, now())
    FROM due d WHERE c.execution_id = d.execution_id
)
SELECT count(*), coalesce(sum(bytes), 0)::bigint, min(ended_at), max(ended_at) FROM due
