-- Runs that wait although no job would bring them to a worker: the job was lost with the worker
-- that had fetched it, or was spent while their action was full. Of a limited action as many as
-- there is room for; which of them start is decided when they do.
WITH waiting AS (
    SELECT c.execution_id, c.queue, c.action,
           row_number() OVER (PARTITION BY c.action ORDER BY c.requested_at) AS place
    FROM command_runs c
    WHERE c.state = 'queued' AND c.queue <> '' AND c.cancel_requested_at IS NULL
      AND NOT EXISTS (
        SELECT FROM procrastinate_jobs j
        WHERE j.args ->> 'execution_id' = c.execution_id
          AND (j.status = 'todo' OR (j.status = 'doing' AND EXISTS (
                SELECT FROM procrastinate_events e
                WHERE e.job_id = j.id AND e.type = 'started' AND e.at > now() - interval '5 s'))))
), room AS (
    SELECT w.execution_id, w.queue
    FROM waiting w LEFT JOIN executor_actions a ON a.name = w.action
    WHERE coalesce(a.max_running, 0) = 0 OR w.place <= a.max_running - (
        SELECT count(*) FROM command_runs c WHERE c.state = 'running' AND c.action = w.action)
    LIMIT 100
)
SELECT count(*), executor_deliver_v1(array_agg(ARRAY[execution_id, queue]))
FROM room HAVING count(*) > 0
