"""Real PostgreSQL for a machine that has none: the programs come in a wheel, we supervise them.

No Django here: settings ask this package where to connect.
"""

from techno.embedded.errors import EmbeddedError
from techno.embedded.layout import APP_ROLE, DATABASE, OWNER_ROLE
from techno.embedded.server import EmbeddedPostgres

__all__ = ["APP_ROLE", "DATABASE", "OWNER_ROLE", "EmbeddedError", "EmbeddedPostgres"]
