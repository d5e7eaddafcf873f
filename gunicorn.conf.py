# `gunicorn dispatcher:app`, or `gunicorn` alone, takes its settings from `server:` in config.yaml; no app is imported.
from dispatcher.server import gunicorn_settings

globals().update(gunicorn_settings())
