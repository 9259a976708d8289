"""Shared by the benchmarks: the pipeline for a while, and what processes cost."""
import contextlib, json, os, re, signal, subprocess, sys, time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
SERVICES = ("msa", "mta", "mda")
root = Path(__file__).resolve().parents[2]


def cpu(pid):
    """CPU seconds of a process."""
    with open(f"/proc/{pid}/stat") as f:
        return sum(int(x) for x in f.read().rpartition(")")[2].split()[11:13]) / TICK


def tree_cpu(pid):
    """CPU seconds of a process, its children, and those of them that have ended."""
    seconds, todo = 0, [pid]
    while todo:
        pid = todo.pop()
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/stat") as f:
                seconds += sum(int(x) for x in f.read().rpartition(")")[2].split()[11:15]) / TICK
            with open(f"/proc/{pid}/task/{pid}/children") as f:
                todo += [int(child) for child in f.read().split()]
    return seconds


def rss(pid):
    """The most memory that a process has had, in MiB."""
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1)) / 1024


@contextlib.contextmanager
def pipeline(waypost, data, port_offset, **environment):
    """The release build, started by `waypost up`; yields what stands in its ready.json."""
    up = subprocess.Popen([waypost, "up", "--dir", data, "--port-offset", str(port_offset)],
                          env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while not (data / "ready.json").exists():
            if up.poll() is not None or time.monotonic() > end:
                sys.exit(f"the pipeline did not come up; {data}/log tells why")
            time.sleep(0.1)
        yield json.loads((data / "ready.json").read_text())
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(60)
