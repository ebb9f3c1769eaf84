-- Decisions, each with what follows from it for the approval and for its run. The key of a
-- decision holds its number: whoever decided on the ground of an older state is refused by it.
-- What was approved is brought to the workers of its queue in the same transaction.
WITH r AS (
    SELECT * FROM jsonb_to_recordset(%s::jsonb) AS r(
        identity text, execution_id text, number smallint, decision text, person text,
        reason text, trace_id uuid, decided_at timestamptz, state text, given smallint,
        status text, reason_codes jsonb, detail text)
), decided AS (
    INSERT INTO executor_approval_decisions
        (identity, execution_id, number, decision, person, reason, trace_id, decided_at)
    SELECT identity, execution_id, number, decision, person, reason, trace_id, decided_at FROM r
), approval AS (
    UPDATE executor_approvals a
    SET state = r.state, given = r.given,
        settled_at = CASE WHEN r.state <> 'waiting' THEN r.decided_at END
    FROM r WHERE a.execution_id = r.execution_id
), ended AS (
    INSERT INTO command_run_ends (execution_id, trace_id)
    SELECT execution_id, trace_id FROM r WHERE r.state NOT IN ('waiting', 'approved')
), run AS (
    UPDATE command_runs c
    SET state = CASE WHEN r.state = 'approved' THEN 'queued' ELSE 'ended' END,
        status = r.status, reason_codes = r.reason_codes, detail = r.detail,
        ended_at = CASE WHEN r.state <> 'approved' THEN r.decided_at END,
        sealed = CASE WHEN r.state = 'approved' THEN c.sealed ELSE '' END,
        heartbeat_at = CASE WHEN r.state = 'approved' THEN clock_timestamp() END
    FROM r
    WHERE c.execution_id = r.execution_id AND c.state = 'waiting' AND r.state <> 'waiting'
    RETURNING c.execution_id, c.queue, c.state
)
SELECT executor_deliver_v1(array_agg(ARRAY[execution_id::text, queue::text]))
FROM run WHERE state = 'queued' HAVING count(*) > 0
