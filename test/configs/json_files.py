# A logging configuration as people have it, with a formatter of JSON of their own: the
# errors to one file, requests to another.
import json
import logging


class JSON(logging.Formatter):
    def format(self, record):
        fields = {"level": record.levelname, "pid": record.process, "text": record.getMessage(), "logger": record.name}
        if isinstance(record.args, dict):
            fields["status"] = record.args["s"]
            fields["agent"] = record.args["{user-agent}i"]
        return json.dumps(fields)


logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": JSON}},
    "handlers": {
        "errors": {"class": "logging.FileHandler", "filename": "err.json", "formatter": "json"},
        "access": {"class": "logging.FileHandler", "filename": "acc.json", "formatter": "json"},
    },
    "root": {"level": "INFO", "handlers": []},
    "loggers": {
        "gunicorn.error": {"level": "DEBUG", "handlers": ["errors"], "propagate": False},
        "gunicorn.access": {"level": "INFO", "handlers": ["access"], "propagate": False},
    },
}
access_log_format = "%(m)s %(U)s %(s)s %(p)s"
