"""A site of Django with one table."""

SECRET_KEY = "x"
ROOT_URLCONF = "site_urls"
ALLOWED_HOSTS = ["*"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3", "CONN_MAX_AGE": 600}}
