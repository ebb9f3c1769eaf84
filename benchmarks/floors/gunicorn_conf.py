"""gunicorn for a floor: the workers, threads and keep-alive of the service itself."""

import os

from techno.web import gunicorn_conf as service

worker_class = service.worker_class
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
