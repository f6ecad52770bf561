# Probes of the load balancer do not fill the access log, and no token gets into it.
import logging
import re

from indrik.glogging import Logger

accesslog = "-"
access_log_format = '%(h)s "%(r)s" %(s)s'


class NoProbes(logging.Filter):
    def filter(self, record):
        return "/healthz" not in record.getMessage()


class CustomLogger(Logger):
    def setup(self, cfg):
        super().setup(cfg)
        logging.getLogger("gunicorn.access").addFilter(NoProbes())
        self._set_handler(
            self.error_log,
            cfg.errorlog,
            logging.Formatter("[%(levelname)s] [%(process)d] %(message)s"),
        )

    def atoms(self, resp, req, environ, request_time):
        clean = dict(environ, RAW_URI=re.sub(r"token=[^&]*", "token=***", environ["RAW_URI"]))
        return super().atoms(resp, req, clean, request_time)


logger_class = CustomLogger
