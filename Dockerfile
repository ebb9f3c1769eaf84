# syntax=docker/dockerfile:1

# The packages of requirements.txt, in a virtual environment that itself has no installer.
FROM python:3.11-slim AS packages
COPY requirements.txt /tmp/requirements.txt
RUN python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python --disable-pip-version-check install \
        --no-cache-dir --only-binary :all: -r /tmp/requirements.txt

# What runs: the packages, the project's own files, and an account that owns neither.
FROM python:3.11-slim
RUN groupadd --system --gid 10001 techno \
 && useradd --system --uid 10001 --gid techno --home-dir /var/lib/techno --shell /usr/sbin/nologin techno \
 && install --directory --owner techno --group techno --mode 0700 /var/lib/techno
WORKDIR /opt/techno
COPY --from=packages /opt/venv /opt/venv
COPY manage.py ./
COPY techno techno
COPY audit audit
COPY executor executor
COPY diagnostics diagnostics
COPY templates templates
# The account may not write bytecode where it lies, so it is made now.
RUN /opt/venv/bin/python -m compileall -q -j 0 /opt/venv /opt/techno
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TECHNO_ENV_FILE=none \
    TECHNO_HOST=0.0.0.0 \
    TECHNO_PORT=8000 \
    TECHNO_VAR_DIR=/var/lib/techno
USER techno
VOLUME /var/lib/techno
EXPOSE 8000
# `serve` is its own init: it reaps what falls to process 1 and ends everything on SIGTERM.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-I", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['TECHNO_PORT']), timeout=4); c.request('GET', '/health'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["python", "manage.py", "serve"]
