"""gunicorn for a floor: as many workers and threads as the service, the same keep-alive.

The worker itself is gunicorn's own, as a team would run it today; what ours does besides
(`techno.web.worker`, `techno.web.whole_response`) is part of what is measured.
"""

import os

from gunicorn.http import wsgi

from techno.web import gunicorn_conf as service
from techno.web.whole_response import WholeResponse

wsgi.Response = WholeResponse.__base__  # which the service's configuration replaced

worker_class = "gthread"
workers = service.workers
threads = service.threads
keepalive = service.keepalive
timeout = service.timeout
worker_tmp_dir = service.worker_tmp_dir
preload_app = service.preload_app
control_socket_disable = service.control_socket_disable
accesslog = None
errorlog = "-"
loglevel = "warning"
wsgi_app = os.environ["FLOOR_APP"]
bind = f"127.0.0.1:{os.environ['FLOOR_PORT']}"
