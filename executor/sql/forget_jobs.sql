-- Jobs of workers that are gone, and of runs that wait no more. The runs themselves are closed or
-- delivered again by what stands in their rows.
DELETE FROM procrastinate_jobs j
WHERE j.status NOT IN ('todo', 'doing')
   OR (j.status = 'doing' AND NOT EXISTS (
        SELECT FROM procrastinate_workers w
        WHERE w.id = j.worker_id AND w.last_heartbeat > now() - interval '30 s'))
RETURNING 1
