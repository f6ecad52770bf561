# Every setting can be changed from outside, as containers like it; GUNICORN_* sets
# any of them.
import os


def _env(name, default, kind=str):
    value = os.environ.get(name)
    return kind(value) if value not in (None, "") else default


def _flag(value):
    return value.strip().lower() in ("1", "true", "yes", "on")


bind = "%s:%s" % (_env("HOST", "127.0.0.1"), _env("APP_PORT", "8000"))
workers = _env("GUNICORN_WORKERS", 1, int)
threads = _env("GUNICORN_THREADS", 1, int)
loglevel = _env("LOG_LEVEL", "info").lower()
accesslog = "-" if _env("ACCESS_LOG", False, _flag) else None
proc_name = _env("SERVICE_NAME", "app")
raw_env = ["SERVICE_STARTED_BY=%s" % _env("USER_NAME", "nobody"), "REGION=" + _env("REGION", "eu=1")]

for _name, _value in os.environ.items():
    if _name.startswith("GUNICORN_SET_"):
        locals()[_name[len("GUNICORN_SET_") :].lower()] = _value
