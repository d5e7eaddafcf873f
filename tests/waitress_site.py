"""Serves `dispatcher.app` of the working directory with waitress, with gunicorn's option ``--bind``."""

import sys

from waitress import serve

import dispatcher

serve(dispatcher.app, listen=sys.argv[sys.argv.index("--bind") + 1], threads=4)
