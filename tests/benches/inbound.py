#!/usr/bin/env python3
"""Mail from port 25 into mailboxes: starts the release build with `waypost up`, makes accounts, sends messages with
Postfix's smtp-source (a connection each) and prints what was accepted and delivered a second, CPU seconds per 1,000
messages and peak memory of each service. Everything on loopback, bounded in count and time.

    cargo build --release && tests/benches/inbound.py [--messages 20000] [--accounts 1000] [--size 4096] [--sessions 32]
"""
import argparse, json, re, subprocess, sys, tempfile, time, urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common import SERVICES, cpu, pipeline, root, rss

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("--messages", type=int, default=20_000)
p.add_argument("--accounts", type=int, default=1_000)
p.add_argument("--size", type=int, default=4_096)
p.add_argument("--sessions", type=int, default=32)
p.add_argument("--port-offset", type=int, default=15_000)
p.add_argument("--limit", type=int, default=300, help="seconds after which a run has failed")
p.add_argument("--waypost", default=str(root / "target/release/waypost"))
a = p.parse_args()


def delivered(url):
    text = urllib.request.urlopen(url, timeout=10).read().decode()
    return sum(int(float(m)) for m in re.findall(r'^waypost_mda_deliveries_total\{[^}]*outcome="delivered"[^}]*\} (\S+)', text, re.M))


def send(target, count):
    """smtp-source's counter starts at 1 in each process, so that every account gets its share in each batch."""
    while count > 0:
        batch = min(count, a.accounts)
        subprocess.run(["smtp-source", "-s", str(min(a.sessions, batch)), "-m", str(batch), "-l", str(a.size), "-N",
                        "-f", "sender@relay.test", "-t", "u@example.test", target], check=True, timeout=a.limit)
        count -= batch


# On the disk under target/, not on a tmpfs.
with tempfile.TemporaryDirectory(dir=root / "target") as folder:
    data = Path(folder) / "data"
    with pipeline(a.waypost, data, a.port_offset) as ready:
        add = lambda n: subprocess.run([a.waypost, "account", "add", f"{n}u@example.test", "--password", "secret",
                                        "--dir", data], check=True, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(add, range(1, a.accounts + 1)))
        pids = {name: ready[name]["pid"] for name in SERVICES}
        target, metrics = ready["mta"]["listeners"]["smtp"], f'http://{ready["mda"]["listeners"]["http"]}/metrics'
        send(target, a.accounts)
        while delivered(metrics) < a.accounts:
            time.sleep(0.1)
        before, used = delivered(metrics), {name: cpu(pid) for name, pid in pids.items()}
        began = time.monotonic()
        send(target, a.messages)
        accepted = time.monotonic()
        while (have := delivered(metrics) - before) < a.messages:
            if time.monotonic() - began > a.limit:
                sys.exit(f"only {have} of {a.messages} were delivered within {a.limit} s")
            time.sleep(0.02)
        ended = time.monotonic()
        spent = {name: (cpu(pid) - used[name]) / a.messages * 1000 for name, pid in pids.items()}
        print(json.dumps({
            "messages": a.messages, "size": a.size, "sessions": a.sessions,
            "accepted_per_s": round(a.messages / (accepted - began)),
            "delivered_per_s": round(a.messages / (ended - began)),
            "cpu_s_per_1000": round(sum(spent.values()), 3),
            **{f"cpu_s_per_1000_{name}": round(seconds, 3) for name, seconds in spent.items()},
            **{f"peak_rss_mib_{name}": round(rss(pid)) for name, pid in pids.items()},
        }, indent=1))
