"""What a child does that a request forks; the parent says how it ended."""

import atexit
import multiprocessing
import os
import signal
import subprocess
import sys
import time

here = os.getpid()
fork = multiprocessing.get_context("fork")
atexit.register(lambda: print("atexit in", os.getpid(), flush=True))


def in_process(queue):
    print("said in a process")
    queue.put(sorted(os.listdir("/proc/self/fd")) and 42)


def signals(write):
    names = [
        n
        for n in ("HUP", "INT", "QUIT", "TERM", "ABRT", "USR1", "USR2", "WINCH", "TTIN", "TTOU", "CHLD", "URG")
        if signal.getsignal(getattr(signal, "SIG" + n)) is not signal.SIG_DFL
    ]
    os.write(write, repr((names, signal.set_wakeup_fd(-1))).encode())


def run(how):
    "Returns None in a child that goes on."
    if how == "process":
        queue = fork.Queue()
        process = fork.Process(target=in_process, args=(queue,))
        process.start()
        answer = queue.get(timeout=60)
        process.join()
        return repr((answer, process.exitcode))
    if how == "subprocess":
        return repr(subprocess.check_output(["echo", "hello"], preexec_fn=lambda: None))
    read, write = os.pipe()
    print("before", how)
    pid = os.fork()
    if pid == 0:
        print("child", how, os.getppid() == here)
        if how == "signals":
            signals(write)
            os._exit(0)
        if how == "term":
            os.write(write, b"x")
            time.sleep(60)
        if how == "raise":
            raise ValueError("raised in the child")
        if how == "exit":
            sys.exit(7)
        if how == "message":
            sys.exit("a last word")
        if how == "again":
            grandchild = os.fork()
            if grandchild:
                sys.exit(os.WEXITSTATUS(os.waitpid(grandchild, 0)[1]) + 1)
            sys.exit(20)
        return None
    os.close(write)
    if how == "term":
        os.read(read, 1)
        os.kill(pid, signal.SIGTERM)
    status = os.waitpid(pid, 0)[1]
    # The child has ended: what it wrote is there. The end of the pipe is not, perhaps, since
    # gevent closes a descriptor in a later turn of its loop.
    os.set_blocking(read, False)
    try:
        text = os.read(read, 1000).decode()
    except BlockingIOError:
        text = ""
    os.close(read)
    return text or repr(os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status))
