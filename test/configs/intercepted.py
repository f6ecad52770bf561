# All logging goes to one sink of the app's, as it is done for loguru or structlog: the
# class does not even call the one it is derived from.
import logging

from indrik.glogging import Logger

LEVEL = logging.INFO


class Sink(logging.Handler):
    def emit(self, record):
        with open("sink.log", "a") as f:
            f.write("%s|%s|%s\n" % (record.levelname.lower(), record.name, record.getMessage()))


class StubbedLogger(Logger):
    def setup(self, cfg):
        handler = logging.NullHandler()
        self.error_logger = logging.getLogger("gunicorn.error")
        self.error_logger.addHandler(handler)
        self.access_logger = logging.getLogger("gunicorn.access")
        self.access_logger.addHandler(handler)
        self.error_logger.setLevel(LEVEL)
        self.access_logger.setLevel(LEVEL)


logging.root.setLevel(LEVEL)
for _logger in (logging.root, logging.getLogger("gunicorn.error"), logging.getLogger("gunicorn.access")):
    _logger.handlers = [Sink()]

logger_class = StubbedLogger
accesslog = "-"
errorlog = "-"
