-- The Merkle tree over all rows, and the queue of rows that are not in it yet.

-- What waits to be sealed. A row enters in the very transaction that writes it, and leaves in the
-- one that gives it a leaf: whenever it commits, nothing is skipped and nothing numbered twice.
CREATE TABLE audit_unsealed (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    trace_id uuid   NOT NULL
);
ALTER TABLE audit_unsealed SET (
    autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_scale_factor = 0.0, autovacuum_vacuum_insert_threshold = 100000);

-- One row, locked by whoever seals: there is one sequencer.
CREATE TABLE audit_tree (
    id   smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    size bigint   NOT NULL
);
INSERT INTO audit_tree (size) VALUES (0);

CREATE TABLE audit_leaves (
    leaf_index bigint   PRIMARY KEY CHECK (leaf_index >= 0),
    trace_id   uuid     NOT NULL,
    version    smallint NOT NULL,
    hash       bytea    NOT NULL CHECK (octet_length(hash) = 32)
);
CREATE UNIQUE INDEX audit_leaves_trace ON audit_leaves (trace_id);

-- Complete subtrees of two leaves and more; a leaf's own hash stands in audit_leaves.
CREATE TABLE audit_nodes (
    level      smallint NOT NULL CHECK (level >= 1),
    node_index bigint   NOT NULL,
    hash       bytea    NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (level, node_index)
);

CREATE TABLE audit_checkpoints (
    id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    size    bigint      NOT NULL,
    root    bytea       NOT NULL,
    note    text        NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX audit_checkpoints_size ON audit_checkpoints (size, id);

-- Public keys that have signed, so that old checkpoints can be checked for ever.
CREATE TABLE audit_signing_keys (
    vkey     text        PRIMARY KEY,
    added_at timestamptz NOT NULL DEFAULT now()
);

CREATE TRIGGER audit_leaves_no_change BEFORE UPDATE OR DELETE ON audit_leaves
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_change_v1();
CREATE TRIGGER audit_leaves_no_truncate BEFORE TRUNCATE ON audit_leaves
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change_v1();
CREATE TRIGGER audit_nodes_no_change BEFORE UPDATE OR DELETE ON audit_nodes
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_change_v1();
CREATE TRIGGER audit_nodes_no_truncate BEFORE TRUNCATE ON audit_nodes
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change_v1();
CREATE TRIGGER audit_checkpoints_no_change BEFORE UPDATE OR DELETE ON audit_checkpoints
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_change_v1();
CREATE TRIGGER audit_checkpoints_no_truncate BEFORE TRUNCATE ON audit_checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change_v1();

-- The second version of what happens when rows arrive: companions as before, and the queue.
CREATE FUNCTION audit_logs_inserted_v2() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
BEGIN
    IF EXISTS (
        SELECT FROM inserted i
        WHERE NOT EXISTS (SELECT FROM audit_traces t WHERE t.trace_id = i.trace_id)
    ) THEN
        PERFORM audit_companions_v1((SELECT array_agg(trace_id) FROM inserted));
    END IF;
    INSERT INTO audit_unsealed (trace_id) SELECT trace_id FROM inserted;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION audit_logs_inserted_v2() FROM PUBLIC;
DROP TRIGGER audit_logs_inserted ON audit_logs;
CREATE TRIGGER audit_logs_inserted AFTER INSERT ON audit_logs
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION audit_logs_inserted_v2();
DROP FUNCTION audit_logs_inserted_v1();

-- Rows that were there before, in the order of their time.
INSERT INTO audit_unsealed (trace_id)
SELECT trace_id FROM audit_logs ORDER BY "timestamp", trace_id;

-- Personal values that were erased on purpose: what stays is the commitment that stands in the
-- leaf. The erasure itself is a row of the log (its trace stands here).
CREATE TABLE audit_redactions (
    trace_id    uuid        PRIMARY KEY,
    commitments jsonb       NOT NULL,
    redacted_at timestamptz NOT NULL DEFAULT now(),
    recorded_in uuid        NOT NULL
);

-- Rows that left the database for an archive: ids from `from_id` up to before `to_id`, in a bundle
-- that was verified before anything was dropped. Their leaves stay, so old checkpoints do too.
CREATE TABLE audit_archives (
    name        text        PRIMARY KEY,
    from_id     uuid        NOT NULL,
    to_id       uuid        NOT NULL,
    first_leaf  bigint      NOT NULL,
    end_leaf    bigint      NOT NULL,
    row_count   bigint      NOT NULL,
    sha256      text        NOT NULL,
    archived_at timestamptz NOT NULL DEFAULT now(),
    recorded_in uuid        NOT NULL
);

-- What witnesses have signed of our checkpoints: their lines, verified, as they came.
CREATE TABLE audit_cosignatures (
    checkpoint_size bigint      NOT NULL,
    witness         text        NOT NULL,
    line            text        NOT NULL,
    received_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (checkpoint_size, witness)
);

-- Holds a row only in a database that says it is one for tests: made-up history goes nowhere else.
CREATE TABLE audit_simulation (mark text PRIMARY KEY);
