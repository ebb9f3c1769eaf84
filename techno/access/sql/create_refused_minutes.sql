-- One row for each address and minute in which it was refused unread: which audit row stands for
-- that minute, and how many answers beside the one it was written for. The key lets one process
-- through; a row named told|... says that its count is on record.
CREATE TABLE access_refused_minutes (
    name text PRIMARY KEY,
    subject text NOT NULL,
    minute bigint NOT NULL,
    trace_id uuid NOT NULL,
    refused bigint NOT NULL DEFAULT 0
);
CREATE INDEX access_refused_minutes_minute ON access_refused_minutes (minute);
