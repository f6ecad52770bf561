# An agent that watches the app, as New Relic's and Datadog's do: it is started in
# each worker, never before the fork, since its thread would not survive that.
import threading

preload_app = True
workers = 2
_agent = None


class Agent:
    def __init__(self, worker):
        self.name = "agent-%d" % worker.pid
        self.spans = []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, name=self.name, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping.wait(0.05):
            self.flush()

    def flush(self):
        spans, self.spans = self.spans, []
        with open(self.name + ".spans", "a") as f:
            f.writelines(span + "\n" for span in spans)


def post_fork(server, worker):
    global _agent
    _agent = Agent(worker)
    worker.log.info("APM agent started in worker %d of %s", worker.pid, server.proc_name)


def post_request(worker, req, environ, resp):
    _agent.spans.append("%s %s %d" % (req.method, req.path, resp.status_code))


def worker_exit(server, worker):
    _agent.stopping.set()
    _agent.thread.join()
    _agent.flush()
