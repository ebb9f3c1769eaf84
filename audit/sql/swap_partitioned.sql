-- The twin takes the name, the triggers and everybody's privileges.
DO $$
DECLARE
    privilege record;
BEGIN
    FOR privilege IN
        SELECT grantee, privilege_type FROM information_schema.role_table_grants
        WHERE table_schema = 'public' AND table_name = 'audit_logs' AND grantee <> current_user
    LOOP
        EXECUTE format('GRANT %s ON audit_logs_twin TO %s', privilege.privilege_type,
            CASE privilege.grantee WHEN 'PUBLIC' THEN 'PUBLIC'
                 ELSE quote_ident(privilege.grantee) END);
    END LOOP;
    FOR privilege IN
        SELECT a.attname AS name, g.privilege_type,
               CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END AS grantee
        FROM pg_attribute a, aclexplode(a.attacl) AS g
        WHERE a.attrelid = 'audit_logs'::regclass AND a.attnum > 0
    LOOP
        EXECUTE format('GRANT %s (%I) ON audit_logs_twin TO %s',
            privilege.privilege_type, privilege.name, privilege.grantee);
    END LOOP;
    ALTER TABLE audit_logs RENAME TO audit_logs_unpartitioned;
    DROP TRIGGER audit_logs_inserted ON audit_logs_unpartitioned;
    ALTER TABLE audit_logs_twin RENAME TO audit_logs;
    CREATE TRIGGER audit_logs_no_change BEFORE UPDATE OR DELETE ON audit_logs
        FOR EACH ROW EXECUTE FUNCTION audit_refuse_change_v1();
    CREATE TRIGGER audit_logs_no_truncate BEFORE TRUNCATE ON audit_logs
        FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change_v1();
    CREATE TRIGGER audit_logs_inserted AFTER INSERT ON audit_logs
        REFERENCING NEW TABLE AS inserted
        FOR EACH STATEMENT EXECUTE FUNCTION audit_logs_inserted_v3();
END
$$;
