"""Makes the samples of the test: what processes wrote with a version of prometheus_client, and
what its own collector says of that.

    python make.py OUT.json.gz

The library is the one that this interpreter finds; three processes write, one of them is
marked dead.
"""

import base64
import glob
import gzip
import json
import os
import random
import sys
import tempfile

OUT = sys.argv[1]
DIRECTORY = tempfile.mkdtemp()
for variable in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):
    os.environ[variable] = DIRECTORY

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, multiprocess  # noqa: E402

MODES = [
    "all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum", "mostrecent", "livemostrecent",
]  # fmt: skip
TEXTS = ["a", "b", "GET", 'q"uo\\te', "zwei\nZeilen", "grün", "語", "\U0001f600", "", " spaces  "]


def write(seed):
    rnd = random.Random(seed)
    registry = CollectorRegistry()
    requests = Counter("requests", "Requests.", ["method", "path"], registry=registry)
    bare = Counter("bare_total", 'Help with "quotes", \\ and\nlines, and ü.', registry=registry)
    sizes = Histogram("sizes_bytes", "Sizes.", ["kind"], registry=registry, buckets=(1, 10.5, 1000, 1e7))
    times = Histogram("times_seconds", "Times.", registry=registry)
    work = Summary("work_seconds", "Work.", ["who"], registry=registry)
    gauges = []
    for mode in MODES:
        try:
            gauges.append(Gauge("gauge_" + mode, "A gauge.", ["x"], registry=registry, multiprocess_mode=mode))
            Gauge("untouched_" + mode, "A gauge that nobody sets.", registry=registry, multiprocess_mode=mode)
        except ValueError:
            pass  # later versions have it
    for _ in range(rnd.randrange(50, 300)):
        requests.labels(rnd.choice(TEXTS), rnd.choice(TEXTS)).inc(rnd.choice([1, 1, 0.25, 1e9]))
        bare.inc()
        sizes.labels(rnd.choice(TEXTS)).observe(rnd.expovariate(0.01))
        times.observe(rnd.expovariate(2))
        work.labels(rnd.choice(TEXTS)).observe(rnd.random())
        for g in gauges:
            g.labels(rnd.choice(TEXTS[:4])).set(rnd.choice([rnd.uniform(-5, 5), 0, float("inf"), 1e-300]))


def fork(seed):
    pid = os.fork()
    if pid == 0:
        write(seed)
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


pids = [fork(seed) for seed in range(3)]
multiprocess.mark_process_dead(pids[0])
registry = CollectorRegistry()
families = []
for metric in multiprocess.MultiProcessCollector(registry).collect():
    samples = [[s.name, dict(s.labels), repr(float(s.value))] for s in metric.samples]
    families.append({"name": metric.name, "type": metric.type, "help": metric.documentation, "samples": samples})
files = {}
for path in glob.glob(DIRECTORY + "/*.db"):
    with open(path, "rb") as f:
        data = f.read()
    used = int.from_bytes(data[:4], sys.byteorder)
    files[os.path.basename(path)] = base64.b64encode(data[:used]).decode()
with gzip.GzipFile(OUT, "wb", mtime=0) as f:
    f.write(json.dumps({"files": files, "families": families}, sort_keys=True).encode())
