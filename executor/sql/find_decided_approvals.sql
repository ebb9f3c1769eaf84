SELECT identity FROM executor_approval_decisions
WHERE identity IN (SELECT r ->> 'identity' FROM jsonb_array_elements(%s::jsonb) AS r)
