"""The switch: its nodes as processes, each in its namespace, and rtpengine beside the balancers."""

import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.request

import net
from ladders import DOMAIN
from net import NET

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
CONTROL, NG = 8090, 2223
# Of which the password is "secret".
ADMIN = "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"


# The switch has two processors of its own in no test: load and judge give way to it.
NICE = -15


def first():
    os.setpriority(os.PRIO_PROCESS, 0, NICE)


class Program:
    """A process in a node's namespace that can be started again."""

    def __init__(self, stage, node, name, command, folder, env=None):
        self.net, self.node, self.name, self.command, self.folder = stage, node, name, command, folder
        self.env = env or {}
        self.process = None
        self.starts = 0

    def start(self):
        self.starts += 1
        with open(os.path.join(self.folder, f"{self.name}.log"), "ab") as log:
            log.write(f"=== start {self.starts} at {time.time():.3f}\n".encode())
            log.flush()
            self.process = subprocess.Popen([*self.net.inside(self.node), *self.command], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd=self.folder, env={**os.environ, **self.env}, preexec_fn=first)

    def last_words(self, lines=12):
        """What it ended with, and the end of its log."""
        status = None if self.process is None else self.process.poll()
        try:
            with open(os.path.join(self.folder, f"{self.name}.log"), errors="replace") as log:
                end = log.read()[-8000:].splitlines()[-lines:]
        except OSError as error:
            end = [str(error)]
        return f"{self.name} has ended with {status}; the end of {self.folder}/{self.name}.log:\n" + "\n".join(f"    {line}" for line in end)

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        if self.is_running():
            self.process.send_signal(number)

    def wait(self, seconds):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self):
        if self.process is not None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGKILL)
            self.process.wait()


class Node(Program):
    """A node of the switch."""

    def __init__(self, stage, name, chassis, address, command, folder, env=None):
        super().__init__(stage, name, name, command, folder, env)
        self.chassis, self.address = chassis, address
        self.cdrs = os.path.join(folder, name, "cdr")
        self.tallies = {}  # what each process of it has counted last, by its boot

    def ask(self, path, timeout=1.0, verb="GET", body=None, text=False):
        connection = http.client.HTTPConnection("127.0.0.1", CONTROL)
        connection.sock = net.socket_in(self.net.name(self.node), ("127.0.0.1", CONTROL), timeout)
        try:
            connection.request(verb, path, body=json.dumps(body) if body is not None else None,
                               headers={"Content-Type": "application/json"} if body is not None else {})
            reply = connection.getresponse()
            said = reply.read()
            if reply.status >= 300:
                raise OSError(f"{self.name} {path}: {reply.status} {said[:200]}")
            return said.decode() if text else json.loads(said)
        finally:
            connection.close()

    def seen(self):
        """The cluster as this node sees it; `None` while it says nothing."""
        try:
            seen = self.ask("/cluster")
            self.tallies[seen["boot"]] = seen["counts"]
            return seen
        except (OSError, ValueError, http.client.HTTPException):
            return None

    def counted(self, what):
        """The sum over all its processes, as far as they were asked."""
        return sum(counts.get(what, 0) for counts in self.tallies.values())

    def counter(self, port, name):
        """A counter of one of its ports, from its metrics; `None` while it says nothing."""
        try:
            text = self.ask("/metrics", text=True)
        except (OSError, ValueError, http.client.HTTPException):
            return None
        found = re.search(rf'tandem_{port}_counters\{{counter="{name}"\}} (\S+)', text)
        return int(float(found[1])) if found else None

    def status(self):
        """What it says of itself; `None` while it says nothing."""
        try:
            return self.ask("/status")
        except (OSError, ValueError, http.client.HTTPException):
            return None


class Relay(Program):
    """An rtpengine."""

    def __init__(self, stage, node, address, folder):
        # A session without media ends after an hour here: the phones of this test send none.
        command = ["rtpengine", "--config-file=none", "--table=-1", "--foreground", "--log-stderr", "--log-level=5",
                   f"--interface={address}", f"--listen-ng={address}:{NG}", "--port-min=30000", "--port-max=40000",
                   "--delete-delay=0", "--timeout=3600", "--silent-timeout=3600", f"--pidfile={folder}/rtpengine-{node}.pid"]
        super().__init__(stage, node, f"rtpengine-{node}", command, folder)
        self.address = address

    def ng(self, command):
        """Asks by NG; the answer's bytes."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(2)
            cookie = f"t{time.time_ns()}"
            sock.sendto(f"{cookie} d7:command{len(command)}:{command}e".encode(), (self.address, NG))
            return sock.recv(262144)

    def sessions(self):
        return len(self.session_ids())

    def session_ids(self):
        """Call-IDs of its sessions."""
        answer = self.ng("list")
        calls = answer[answer.index(b"5:calls") + 7:]
        if not calls.startswith(b"l"):
            return []
        at, found = 1, []
        while calls[at:at + 1] != b"e":
            colon = calls.index(b":", at)
            size = int(calls[at:colon])
            found.append(calls[colon + 1:colon + 1 + size].decode())
            at = colon + 1 + size
        return found

    def wait_ready(self):
        wait("rtpengine answers", 10, lambda: b"pong" in quietly(lambda: self.ng("ping"), b""))


def quietly(what, otherwise):
    try:
        return what()
    except OSError:
        return otherwise


def wait(what, seconds, done):
    """Polls until `done`; how long it took."""
    start = time.time()
    while not done():
        if time.time() - start > seconds:
            raise RuntimeError(f"not within {seconds} s: {what}")
        time.sleep(0.05)
    return time.time() - start


class Plant:
    """What all shapes of the switch have in common."""

    def __init__(self, stage, folder, binary):
        self.net, self.folder, self.binary = stage, folder, binary
        self.nodes, self.relays = {}, {}
        self.retired = []  # nodes that have left for good; their records count
        self.balancers = [f"{NET}.0.1", f"{NET}.0.2"]
        os.makedirs(folder, exist_ok=True)

    def programs(self):
        return [*self.nodes.values(), *self.relays.values()]

    def config(self, name, text):
        path = os.path.join(self.folder, f"{name}.toml")
        with open(path, "w") as file:
            file.write(text)
        done = subprocess.run([self.binary, "check", path], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{path}: {done.stdout}{done.stderr}")
        return path

    def data(self, name):
        path = os.path.join(self.folder, name)
        os.makedirs(path, exist_ok=True)
        return path

    def relay(self, node, address):
        self.relays[node] = Relay(self.net, node, address, self.folder)

    def start(self, limit=60):
        for relay in self.relays.values():
            relay.start()
        for node in self.nodes.values():
            node.start()
        for relay in self.relays.values():
            relay.wait_ready()
        wait("every node is ready", limit, self.is_whole)

    def is_whole(self):
        for node in self.programs():
            if not node.is_running():
                raise RuntimeError(node.last_words())
        return all(node.status() is not None for node in self.nodes.values())

    def registered(self):
        """Users with a contact, from all nodes."""
        found = set()
        for node in self.nodes.values():
            try:
                rows = node.ask("/registrations", timeout=5)["registrations"]
            except (OSError, ValueError, http.client.HTTPException):
                continue
            found |= {str(row.get("aor", "")).removeprefix("sip:").partition("@")[0] for row in rows}
        return found

    def hang_up_orphans(self):
        """Ends calls whose caller has gone with its TCP connection: nobody else would."""
        for node in self.nodes.values():
            try:
                calls = node.ask("/calls", timeout=5)["calls"]
                for call in calls:
                    if "sip:kt" in call["from"] and call["state"] != "ended":
                        node.ask(f"/calls/{call['key']}/hangup", timeout=5, verb="POST", body={})
            except (OSError, ValueError, KeyError, http.client.HTTPException):
                continue  # a node without calls

    def sessions_left(self, seconds=10):
        """Sessions that rtpengine still has, once they had a while to end."""
        until = time.time() + seconds
        while True:
            left = [(node, id_) for node, relay in self.relays.items() for id_ in relay.session_ids()]
            if not left or time.time() > until:
                return left
            time.sleep(0.2)

    def report(self, say):
        """What the nodes have counted."""

    def stale(self):
        """What former owners said: (taken, refused); `None` where nobody has an epoch."""
        return None

    def central_records(self, cdrs):
        """Call records of the central store, by their identity, once it has what nodes have written; `None` without one."""
        return None

    def stop(self):
        for node in self.nodes.values():
            node.signal(signal.SIGCONT)
            node.signal(signal.SIGTERM)
        until = time.time() + 12
        for node in self.nodes.values():
            if node.process is not None and node.wait(max(0.1, until - time.time())) is None:
                node.kill()
        for relay in self.relays.values():
            relay.kill()

    def kill(self):
        for program in self.programs():
            program.kill()

    def cdrs(self):
        """Call records of all nodes: {id: [record, ...]}; one that several nodes hold alike stands once."""
        found = {}
        for node in [*self.nodes.values(), *self.retired]:
            if not os.path.isdir(node.cdrs):
                continue
            for name in sorted(os.listdir(node.cdrs)):
                if name.endswith(".jsonl"):
                    with open(os.path.join(node.cdrs, name)) as file:
                        for line in file:
                            try:
                                record = json.loads(line)
                            except ValueError:
                                continue  # a line that is being written
                            found.setdefault(record["id"], []).append(dict(record, node=node.name))
        return found

    def settled_cdrs(self, seconds=25, quiet_s=4):
        """Call records, once no more of them come."""
        until, count, since = time.time() + seconds, -1, 0
        while time.time() < until:
            now = len(self.cdrs())
            if now != count:
                count, since = now, time.time()
            elif time.time() - since >= quiet_s:
                break
            time.sleep(0.25)
        return self.cdrs()

    def fill(self, users, node_of=None):
        """Subscribers into a database of the switch's own making; the file to copy to each node."""
        template = os.path.join(self.folder, "template")
        os.makedirs(template, exist_ok=True)
        listen = f'[[listen]]\ntransport = "udp"\naddress = "127.0.0.1:5999"\n'
        control = 18091
        path = self.config("template", f'node = 1\ndata_dir = "{template}"\n{listen}\n[control]\nlisten = "127.0.0.1:{control}"\n')
        with open(os.path.join(self.folder, "template.log"), "wb") as log:
            maker = subprocess.Popen([self.binary, "solo", "--config", path], stdout=log, stderr=log)

        def answers():
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{control}/status", timeout=0.5).read()
            except OSError:
                return False

        try:
            wait("a database is made", 20, answers)
        finally:
            maker.send_signal(signal.SIGTERM)
            maker.wait(20)
        database = os.path.join(template, "tandem.db")
        now = int(time.time() * 1000)
        with sqlite3.connect(database) as db:
            db.execute("INSERT INTO domains (id, domain, reseller_id) VALUES (1, ?, 1)", (DOMAIN,))
            db.execute("INSERT INTO customers (id, status, type, external_id, create_ms, modify_ms)"
                       " VALUES (1, 'active', 'sipaccount', 'chassis', ?, ?)", (now, now))
            rows = []
            for number, user in enumerate(users):
                a1 = f"{user}:{DOMAIN}:pw-{user}".encode()
                rows.append((f"00000000-0000-4000-8000-{number:012d}", user, hashlib.md5(a1).digest(), hashlib.sha256(a1).digest(), now, now))
            db.executemany("INSERT INTO subscribers (uuid, domain_id, customer_id, username, ha1_md5, ha1_sha256, status, lock,"
                           " administrative, create_ms, modify_ms) VALUES (?, 1, 1, ?, ?, ?, 'active', 0, 0, ?, ?)", rows)
        db = sqlite3.connect(database)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()
        return database


class Solo(Plant):
    """One node that is everything: proves the load and the judge."""

    def build(self, users):
        address = f"{NET}.1.1"
        self.net.add("solo", 1, address, *self.balancers)
        data = self.data("solo")
        shutil.copy(self.fill(users), os.path.join(data, "tandem.db"))
        listen = "".join(f'[[listen]]\ntransport = "{transport}"\naddress = "{ip}:5060"\n'
                         for ip in self.balancers for transport in ("udp", "tcp"))
        path = self.config("solo", f'node = 1\nname = "solo"\ndata_dir = "{data}"\n{listen}{COMMON}'
                           f'[control]\nlisten = "127.0.0.1:{CONTROL}"\n[[anchor.relays]]\nname = "media1"\naddress = "{address}:{NG}"\n')
        self.nodes["solo"] = Node(self.net, "solo", 1, address, [self.binary, "solo", "--config", path], self.folder)
        self.relay("solo", address)


COMMON = """
[balancer]
flood_messages_per_s = 0
[call]
without_relay = "refuse"
[trace]
messages_max = 0
[log]
level = "info"
"""
