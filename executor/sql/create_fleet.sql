-- What an asynchronous run needs beside its row: its output while it runs, the row that tells its
-- end, what callers may repeat, and whose turn it is.

-- One stretch of what a run printed. Positions count the bytes of both streams in the order in
-- which they came, so that one number says how far a reader has got.
CREATE TABLE command_run_output (
    execution_id varchar(64) NOT NULL,
    position bigint NOT NULL,
    stream varchar(6) NOT NULL CHECK (stream IN ('stdout', 'stderr')),
    data bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (execution_id, position)
);
-- Output is compressed nowhere: a reader wants slices of it.
ALTER TABLE command_run_output ALTER COLUMN data SET STORAGE EXTERNAL;

-- The audit row that tells how a queued run ended. A run has one end: whoever comes second, with
-- another story, is refused by the key, and its row with it.
CREATE TABLE command_run_ends (
    execution_id varchar(64) PRIMARY KEY,
    trace_id uuid NOT NULL
);

-- What a caller named with an idempotency key, and the first answer to it.
CREATE TABLE executor_idempotency (
    caller varchar(200) NOT NULL,
    idempotency_key varchar(255) NOT NULL,
    fingerprint varchar(64) NOT NULL,
    trace_id uuid NOT NULL,
    execution_id varchar(64),
    status varchar(12) NOT NULL,
    reason_codes jsonb NOT NULL,
    http_status integer NOT NULL,
    message text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (caller, idempotency_key)
);
CREATE INDEX executor_idempotency_at ON executor_idempotency (at);

-- When a caller was last given a slot of a limited action: the next goes to who waited longest
-- for a turn, not to who asks most often.
CREATE TABLE executor_turns (
    action varchar(32) NOT NULL,
    caller varchar(200) NOT NULL,
    served_at timestamptz NOT NULL,
    PRIMARY KEY (action, caller)
);

CREATE INDEX command_runs_queued ON command_runs (action, requested_at) WHERE state = 'queued';
