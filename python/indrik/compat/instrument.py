"""gunicorn.instrument, a package: see indrik.statsd."""
