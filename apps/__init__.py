"""The apps of the example site: ordinary WSGI apps, which know nothing of the dispatcher that mounts them."""
