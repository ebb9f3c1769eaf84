-- The contract's table and what we keep beside it.
--
-- audit_logs may exist already, written by another service: it is then left as it stands. A new
-- one is partitioned by trace_id. Ours are UUIDv7, so a range of ids is a range of time; a row
-- whose id lies outside of every made range (another writer's UUIDv4) lands in the default.
CREATE TABLE IF NOT EXISTS audit_logs (
    trace_id     uuid        PRIMARY KEY,
    "timestamp"  timestamptz NOT NULL,
    reason_codes jsonb       NOT NULL DEFAULT '[]'::jsonb,
    session_id   text        NOT NULL DEFAULT '',
    user_ip      text        NOT NULL DEFAULT ''
) PARTITION BY RANGE (trace_id);

-- One companion for each row, whoever wrote it. The five columns stand here once more so that
-- every list is read from one table, in one order, with one index: see docs/decisions/0002.
CREATE TABLE audit_traces (
    trace_id        uuid        PRIMARY KEY,
    "timestamp"     timestamptz NOT NULL,
    reason_codes    jsonb       NOT NULL,
    session_id      text        NOT NULL,
    user_ip         text        NOT NULL,
    status          text        NOT NULL,
    action          text        NOT NULL,
    method          text        NOT NULL,
    path            text        NOT NULL,
    http_status     smallint,
    duration_ms     integer,
    principal_kind  text        NOT NULL,
    principal_label text        NOT NULL,
    key_prefix      text        NOT NULL,
    execution_id    text,
    message         text        NOT NULL,
    host            text        NOT NULL,
    user_agent      text        NOT NULL,
    detail          jsonb       NOT NULL DEFAULT '{}'::jsonb,
    salt            text        NOT NULL DEFAULT ''
) PARTITION BY RANGE (trace_id);

-- Newest first, alone and behind each filter of the contract.
CREATE INDEX audit_traces_newest ON audit_traces ("timestamp", trace_id);
CREATE INDEX audit_traces_status ON audit_traces (status, "timestamp", trace_id);
CREATE INDEX audit_traces_action ON audit_traces (action, "timestamp", trace_id);
CREATE INDEX audit_traces_key ON audit_traces (key_prefix, "timestamp", trace_id)
    WHERE key_prefix <> '';
CREATE INDEX audit_traces_session ON audit_traces (session_id, "timestamp", trace_id)
    WHERE session_id <> '';
CREATE INDEX audit_traces_address ON audit_traces (user_ip, "timestamp", trace_id);
CREATE INDEX audit_traces_execution ON audit_traces (execution_id)
    WHERE execution_id IS NOT NULL;

-- A row for each reason code of each trace: a code's newest traces are one short range here,
-- where an inverted index over jsonb would sort all matches first.
CREATE TABLE audit_trace_codes (
    code        text        NOT NULL,
    "timestamp" timestamptz NOT NULL,
    trace_id    uuid        NOT NULL,
    PRIMARY KEY (code, "timestamp", trace_id)
) PARTITION BY RANGE (trace_id);

-- What each known code says of a row that came without a status (another writer's). Filled from
-- the registry after every migration.
CREATE TABLE audit_code_statuses (
    code     text     PRIMARY KEY,
    status   text     NOT NULL,
    severity smallint NOT NULL
);
