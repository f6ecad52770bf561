# A class of one's own that decides what becomes of the lines of all processes.
import logging

from indrik.glogging import Logger


class Quiet(Logger):
    """Requests to the health check are not logged, levels are in lower case."""

    def setup(self, cfg):
        super().setup(cfg)
        self._set_handler(self.error_log, cfg.errorlog, logging.Formatter("own %(levelname)s %(process)d: %(message)s"))

    def atoms(self, resp, req, environ, request_time):
        atoms = super().atoms(resp, req, environ, request_time)
        atoms["path"] = req.path.upper()
        atoms["half"] = 0.5
        return atoms

    def access(self, resp, req, environ, request_time):
        if req.path != "/health":
            super().access(resp, req, environ, request_time)


logger_class = Quiet
accesslog = "acc.log"
access_log_format = "%(path)s %(half).2f %(s)s %({x-request-id}i)s %({content-type}o)s"
