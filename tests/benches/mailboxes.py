#!/usr/bin/env python3
"""Large mailboxes and many connections: starts the release build with `waypost up`, fills a mailbox over IMAP, and prints
how long SELECT takes, what an APPEND to it costs beside one to an empty mailbox, what it costs to resynchronise after few
and many changes (QRESYNC) beside fetching all flags anew, how long STATUS of many mailboxes takes,
and what an idle connection with TLS takes of memory. Everything on loopback, bounded in count and time.

    cargo build --release && tests/benches/mailboxes.py [--messages 500000] [--mailboxes 1000] [--connections 10000]
"""
import argparse, json, random, re, resource, socket, ssl, statistics, subprocess, tempfile, time
from pathlib import Path

from common import cpu, pipeline, root

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("--messages", type=int, default=500_000)
p.add_argument("--appends", type=int, default=300, help="to the large mailbox and to an empty one, in turns")
p.add_argument("--mailboxes", type=int, default=1_000)
p.add_argument("--connections", type=int, default=10_000)
p.add_argument("--port-offset", type=int, default=18_000)
p.add_argument("--waypost", default=str(root / "target/release/waypost"))
a = p.parse_args()
USER, PASSWORD = "bench@example.test", "secret"


class Imap:
    """Sends commands and reads to the tagged answer."""

    def __init__(self, address, tls=False):
        self.socket = socket.create_connection(address, timeout=300)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket)
        self.tag = 0
        self.socket.recv(4096)
        self.do(f"LOGIN {USER} {PASSWORD}".encode())

    def do(self, command):
        self.tag += 1
        tag = b"t%d" % self.tag
        self.socket.sendall(tag + b" " + command + b"\r\n")
        answer = b""
        while not re.search(rb"(^|\r\n)" + tag + rb" [^\r]*\r\n$", answer[-600:]):
            piece = self.socket.recv(1 << 18)
            if not piece:
                raise EOFError("the server closed")
            answer += piece
        if b"%s OK" % tag not in answer[-600:]:
            raise ValueError(answer[-300:])
        return answer


def message(number):
    return (f"From: sender{number % 97}@example.test\r\nTo: {USER}\r\nSubject: message {number} of many\r\n"
            f"Date: Sat, 28 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{number}@bench.test>\r\n\r\n"
            f"The text of message {number}.\r\n").encode()


def fill(client, name, count):
    client.do(b"CREATE %s" % name)
    for first in range(0, count, 200):
        messages = map(message, range(first, min(count, first + 200)))
        client.do(b"APPEND %s" % name + b"".join(b" {%d+}\r\n%s" % (len(text), text) for text in messages))


def milliseconds(what):
    began = time.perf_counter()
    what()
    return (time.perf_counter() - began) * 1000


def resident(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


def changed(client, name, changes, uids):
    """Changes so many messages of a mailbox here and there, a tenth of them by taking them out, also of `uids`; gives the
    UIDVALIDITY and the MODSEQ from before that."""
    state = client.do(b"STATUS %s (UIDVALIDITY HIGHESTMODSEQ)" % name)
    before = [int(re.search(rb"%s (\d+)" % item, state).group(1)) for item in (b"UIDVALIDITY", b"HIGHESTMODSEQ")]
    client.do(b"SELECT %s" % name)
    some = sorted(random.Random(changes).sample(sorted(uids), changes))
    for first in range(0, changes, 1_000):
        part = some[first:first + 1_000]
        gone = part[::10]
        kept = sorted(set(part) - set(gone))
        client.do(b"UID STORE %s +FLAGS.SILENT (changed%d)" % (b",".join(b"%d" % uid for uid in kept), changes))
        uids -= set(gone)
        gone = b",".join(b"%d" % uid for uid in gone)
        client.do(b"UID STORE %s +FLAGS.SILENT (\\Deleted)" % gone)
        client.do(b"UID EXPUNGE %s" % gone)
    client.do(b"UNSELECT")
    return before


def resynchronised(client, name, before, changes):
    """How long it takes to be told of changes, and the service's CPU for it, in ms."""
    used = cpu(mda)
    ask = b"SELECT %s (QRESYNC (%d %d))" % (name, *before)
    times = []
    for _ in range(20):
        began = time.perf_counter()
        answer = client.do(ask)
        times.append((time.perf_counter() - began) * 1000)
    if answer.count(b" FETCH ") != changes - changes // 10:
        raise SystemExit(f"{answer.count(b' FETCH ')} of {changes} changes were told")
    client.do(b"UNSELECT")
    return round(statistics.median(times), 2), round((cpu(mda) - used) * 1000 / 20, 2)


def host_port(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


# This process holds the other ends.
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, a.connections + 500), hard))
environment = {"WAYPOST_MDA__LIMITS__IMAP_CONNECTIONS": str(a.connections + 100),
               "WAYPOST_MDA__PLAINTEXT_AUTH": "loopback"}
# On the disk under target/, not on a tmpfs.
with tempfile.TemporaryDirectory(dir=root / "target") as folder:
    data = Path(folder) / "data"
    with pipeline(a.waypost, data, a.port_offset, **environment) as ready:
        subprocess.run([a.waypost, "account", "add", USER, "--password", PASSWORD, "--dir", data], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        mda, listeners = ready["mda"]["pid"], ready["mda"]["listeners"]
        figures, imap = {}, host_port(listeners["imap"])
        if a.messages:
            client, before = Imap(imap), resident(mda)
            began = time.monotonic()
            fill(client, b"Big", a.messages)
            figures["filled_per_s"] = round(a.messages / (time.monotonic() - began))
            client.do(b"CREATE Empty")
            figures["select_first_ms"] = round(milliseconds(lambda: client.do(b"SELECT Big")), 2)
            again = [milliseconds(lambda: client.do(b"SELECT Big")) for _ in range(9)]
            figures["select_again_ms"] = round(statistics.median(again), 2)
            client.do(b"UNSELECT")
            costs = {b"Big": [], b"Empty": []}
            for number in range(a.appends):
                for name, cost in costs.items():
                    text = message(number)
                    append = b"APPEND %s {%d+}\r\n%s" % (name, len(text), text)
                    cost.append(milliseconds(lambda: client.do(append)))
            for name, cost in costs.items():
                figures[f"append_{name.decode().lower()}_ms"] = round(statistics.median(cost), 3)
            for name in costs:
                used = cpu(mda)
                for number in range(a.appends):
                    text = message(number)
                    client.do(b"APPEND %s {%d+}\r\n%s" % (name, len(text), text))
                figures[f"append_{name.decode().lower()}_cpu_ms"] = round((cpu(mda) - used) * 1000 / a.appends, 3)
            client.do(b"ENABLE QRESYNC")
            uids = set(range(1, a.messages + 1))
            for changes in (100, 1_000, 10_000):
                if changes < a.messages:
                    before_them = changed(client, b"Big", changes, uids)
                    told = resynchronised(client, b"Big", before_them, changes)
                    figures[f"resync_{changes}_ms"], figures[f"resync_{changes}_cpu_ms"] = told
                    gone = set(sorted(random.Random(changes).sample(sorted(uids), changes)))
            client.do(b"SELECT Big")
            figures["flags_of_all_ms"] = round(milliseconds(lambda: client.do(b"FETCH 1:* FLAGS")), 1)
            client.do(b"UNSELECT")
            figures["resident_mib"] = round(resident(mda) / 1024)
            figures["resident_mib_before"] = round(before / 1024)
        if a.mailboxes:
            client = Imap(imap)
            for number in range(a.mailboxes):
                client.do(b"CREATE many/%d" % number)
            ask = b'LIST "" "many/*" RETURN (STATUS (MESSAGES UNSEEN UIDNEXT))'
            if client.do(ask).count(b"* STATUS") != a.mailboxes:
                raise SystemExit("not all were told")
            figures["status_of_all_ms"] = round(statistics.median(milliseconds(lambda: client.do(ask)) for _ in range(5)), 1)
        if a.connections:
            held = [Imap(host_port(listeners["imaps"]), tls=True) for _ in range(min(100, a.connections))]
            time.sleep(2)
            before, began = resident(mda), time.monotonic()
            for _ in range(a.connections - len(held)):
                held.append(Imap(host_port(listeners["imaps"]), tls=True))
            for client in held:
                client.do(b"SELECT INBOX")
                client.socket.sendall(b"i IDLE\r\n")
                client.socket.recv(100)
            figures["connections"] = len(held)
            figures["connected_per_s"] = round(a.connections / (time.monotonic() - began))
            time.sleep(5)
            figures["kib_each_idle_with_tls"] = round((resident(mda) - before) / max(1, len(held) - 100), 1)
            used = cpu(mda)
            time.sleep(10)
            figures["idle_cpu_s_per_minute"] = round((cpu(mda) - used) * 6, 2)
        print(json.dumps(figures, indent=1))
