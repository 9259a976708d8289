"""Shared by the benchmarks: the pipeline for a while, and what processes cost."""
import contextlib, json, os, signal, subprocess, sys, time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
root = Path(__file__).resolve().parents[2]


def cpu(pid):
    """CPU seconds of a process."""
    with open(f"/proc/{pid}/stat") as f:
        return sum(int(x) for x in f.read().rpartition(")")[2].split()[11:13]) / TICK


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
