"""One YAML file turns several WSGI apps into one site."""
