-- The two roles of Techno OS, and the database that the first of them owns. Run by a superuser,
-- once; running it again restores roles and ownership and changes the passwords.
--
-- psql reads the passwords from its environment: TECHNO_OWNER_PASSWORD and TECHNO_APP_PASSWORD.
-- Another database than "techno": psql -v database=NAME.
\set ON_ERROR_STOP on
\if :{?database} \else \set database techno
\endif
\getenv owner_password TECHNO_OWNER_PASSWORD
\getenv app_password TECHNO_APP_PASSWORD
\if :{?owner_password} \else
DO $$ BEGIN RAISE EXCEPTION 'TECHNO_OWNER_PASSWORD is not set'; END $$;
\endif
\if :{?app_password} \else
DO $$ BEGIN RAISE EXCEPTION 'TECHNO_APP_PASSWORD is not set'; END $$;
\endif

-- Owns the schema and migrates it. No request is ever served with this role.
SELECT 'CREATE ROLE techno_owner'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'techno_owner') \gexec
ALTER ROLE techno_owner WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
    PASSWORD :'owner_password';
ALTER ROLE techno_owner SET lock_timeout = '30s';

-- Serves requests and owns nothing, so that triggers and privileges bind it.
SELECT 'CREATE ROLE techno_app'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'techno_app') \gexec
ALTER ROLE techno_app WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
    PASSWORD :'app_password';
ALTER ROLE techno_app SET lock_timeout = '5s';
ALTER ROLE techno_app SET idle_in_transaction_session_timeout = '60s';

SELECT format('CREATE DATABASE %I OWNER techno_owner', :'database')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
ALTER DATABASE :"database" OWNER TO techno_owner;
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO techno_app;

\connect :"database"
ALTER SCHEMA public OWNER TO techno_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO techno_app;
