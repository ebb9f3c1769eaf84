"""Our own way to PostgreSQL: connections with a client-side deadline, and durable batches.

psycopg has no deadline of its own: a server that is frozen (not dead) makes a query wait for
ever, whatever ``statement_timeout`` says, because the server is the one who would enforce it.
Everything that a governed request needs goes through here, so that a hung database costs a
bounded time. Pure psycopg: nothing in this package but ``backend`` knows Django.
"""
