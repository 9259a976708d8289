#!/usr/bin/env python3
"""Mail from port 25 to another server: the release build, and Postfix as Debian builds it, in turns. Each takes
messages from Postfix's smtp-source (a connection each), keeps them durably and relays them to Postfix's smtp-sink.
Prints for each round what was relayed a second and CPU seconds per 1,000 messages, and at the end the medians and
their ratio. Everything on loopback, bounded in count and time; root, for Postfix changes its user.

    cargo build --release && tests/benches/relay.py [--messages 20000] [--size 4096] [--sessions 32] [--rounds 3]
"""
import argparse, json, os, re, select, socket, statistics, subprocess, sys, tempfile, time
from pathlib import Path

from common import cpu, pipeline, root, tree_cpu

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("--messages", type=int, default=20_000)
p.add_argument("--size", type=int, default=4_096)
p.add_argument("--sessions", type=int, default=32)
p.add_argument("--rounds", type=int, default=3)
p.add_argument("--port-offset", type=int, default=15_000, help="of the pipeline")
p.add_argument("--limit", type=int, default=300, help="seconds after which a run has failed")
p.add_argument("--waypost", default=str(root / "target/release/waypost"))
a = p.parse_args()
os.environ["PATH"] += ":/usr/sbin"

# As an expert would set it up for rate: durable as ever, but no pause between taking and sending, more processes, and
# none of the lookups that the pipeline does not make either.
MAIN_CF = """\
compatibility_level = 3.7
queue_directory = {dir}/queue
data_directory = {dir}/data
maillog_file = {dir}/mail.log
maillog_file_prefixes = {dir}
myhostname = mx.example.test
mydestination =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:{sink}
in_flow_delay = 0
default_process_limit = 200
max_use = 1000
initial_destination_concurrency = 20
smtp_destination_concurrency_limit = 50
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
"""
MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
pickup unix n - n 60 1 pickup
postlog unix-dgram n - n - 1 postlogd
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start_postfix(folder, port, sink):
    for name in ("conf", "queue", "data"):
        (folder / name).mkdir(parents=True)
    subprocess.run(["chown", "postfix", folder / "data"], check=True)
    (folder / "conf/main.cf").write_text(MAIN_CF.format(dir=folder, sink=sink))
    (folder / "conf/master.cf").write_text(MASTER_CF.format(port=port))
    # Its daemons must not keep our pipes open.
    subprocess.run(["postfix", "-c", folder / "conf", "start"], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return int((folder / "queue/pid/master.pid").read_text())


def relay(target, sink_port, messages, cost):
    """Sends messages and waits until all have reached the sink: how many a second, and what that cost."""
    sink = subprocess.Popen(["smtp-sink", "-u", "nobody", "-c", f"127.0.0.1:{sink_port}", "1024"], stdout=subprocess.PIPE)
    try:
        while True:
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", sink_port)) == 0:
                    break
        began, before = time.monotonic(), cost()
        source = subprocess.Popen(["smtp-source", "-s", str(a.sessions), "-m", str(messages), "-l", str(a.size), "-N",
                                   "-f", "sender@example.test", "-t", "u@relay.test", target])
        seen, tail = 0, b""
        while seen < messages:
            if time.monotonic() - began > a.limit:
                sys.exit(f"only {seen} of {messages} messages were relayed within {a.limit} s")
            if select.select([sink.stdout], [], [], 1)[0]:
                tail = (tail + os.read(sink.stdout.fileno(), 1 << 16))[-200:]
                seen = max([seen, *map(int, re.findall(rb"mesg=(\d+)", tail))])
        seconds = time.monotonic() - began
        if source.wait(a.limit):
            sys.exit("smtp-source failed")
        # What is written down about the last ones counts too.
        time.sleep(1)
        return messages / seconds, (cost() - before) * 1000 / messages
    finally:
        sink.kill()
        sink.wait()


# On the disk under target/, not on a tmpfs.
with tempfile.TemporaryDirectory(dir=root / "target") as folder:
    folder = Path(folder)
    folder.chmod(0o755)
    sink_port, postfix_port = free_port(), free_port()
    route = f'[{{ recipient_domain = ["relay.test"], to = "hosts", hosts = ["127.0.0.1:{sink_port}"] }}]'
    environment = {"WAYPOST_MTA__ROUTE": route, "WAYPOST_MTA__RECEIVING__RELAY_DOMAINS": '["relay.test"]',
                   "WAYPOST_MTA__RECEIVING__VERIFY__RECIPIENTS": "false"}
    with pipeline(a.waypost, folder / "data", a.port_offset, **environment) as ready:
        master = start_postfix(folder / "postfix", postfix_port, sink_port)
        try:
            pids = [ready[name]["pid"] for name in ("mta", "mda")]
            rivals = {
                "waypost": (ready["mta"]["listeners"]["smtp"], lambda: sum(map(cpu, pids))),
                "postfix": (f"127.0.0.1:{postfix_port}", lambda: tree_cpu(master)),
            }
            results = {name: [] for name in rivals}
            for target, cost in rivals.values():
                relay(target, sink_port, min(1_000, a.messages), cost)
            for _ in range(a.rounds):
                for name, (target, cost) in rivals.items():
                    rate, spent = relay(target, sink_port, a.messages, cost)
                    results[name].append((rate, spent))
                    print(json.dumps({"server": name, "relayed_per_s": round(rate), "cpu_s_per_1000": round(spent, 3)}), flush=True)
            rate = {name: statistics.median(rate for rate, _ in rounds) for name, rounds in results.items()}
            spent = {name: statistics.median(spent for _, spent in rounds) for name, rounds in results.items()}
            print(json.dumps({
                "messages": a.messages, "size": a.size, "sessions": a.sessions, "rounds": a.rounds,
                "rate_ratio": round(rate["waypost"] / rate["postfix"], 2),
                "cpu_ratio": round(spent["waypost"] / spent["postfix"], 3),
            }))
        finally:
            subprocess.run(["postfix", "-c", folder / "postfix/conf", "stop"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
