-- Tells the workers of a queue of runs; each run is given as its identity and its queue.
CREATE FUNCTION executor_deliver_v1(runs text[]) RETURNS void LANGUAGE sql AS $$
    SELECT procrastinate_defer_jobs_v1(array_agg(
        ROW(runs[i][2], 'executor.run', 0, NULL, NULL,
            jsonb_build_object('execution_id', runs[i][1]), NULL)::procrastinate_job_to_defer_v1))
    FROM generate_subscripts(runs, 1) AS i
    HAVING count(*) > 0
$$;
