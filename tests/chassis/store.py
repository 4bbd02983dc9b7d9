"""The central store: one Apache Cassandra in a namespace of its own, and as much of its protocol as it takes to count records.

Native protocol v4: github.com/apache/cassandra, doc/native_protocol_v4.spec.
"""

import os
import signal
import struct
import subprocess

import net
from net import NET

HERE = os.path.dirname(os.path.abspath(__file__))
RUN = os.path.join(os.path.dirname(HERE), "cassandra", "run")
PORT, KEYSPACE, NAME = 9042, "chassis", "store"
STARTUP, READY, QUERY, RESULT, ERROR = 1, 2, 7, 8, 0


class Store:
    def __init__(self, stage, folder):
        self.net, self.dir, self.address = stage, os.path.join(folder, "cassandra"), f"{NET}.4.1"

    def build(self):
        self.net.add(NAME, 4, self.address)

    def _run(self, *words):
        env = {**os.environ, "CASSANDRA_HEAP_MB": os.environ.get("CASSANDRA_HEAP_MB", "384")}
        done = subprocess.run([*self.net.inside(NAME), RUN, *words], capture_output=True, text=True, env=env)
        if done.returncode != 0:
            raise RuntimeError(f"the central store: {' '.join(words)}: {done.stdout}{done.stderr}")

    def start(self):
        self._run("start", self.dir, self.address)
        try:
            with open(f"/proc/{self.pid()}/autogroup", "w") as file:
                file.write("-5")
        except OSError:
            pass  # a kernel without groups of sessions

    def pid(self):
        with open(os.path.join(self.dir, self.address, "pid")) as file:
            return int(file.read())

    def signal(self, number):
        os.kill(self.pid(), number)

    def kill(self):
        """SIGKILL, as a power cut of the store; its disk stays. The node is told as gone by the script that started it."""
        self._run("kill", self.dir)

    def end(self):
        try:
            self.signal(signal.SIGCONT)
            self._run("kill", self.dir)
        except (OSError, ValueError, RuntimeError):
            pass  # it runs no more

    def section(self):
        """What a proxy's configuration says of it."""
        return (f'[store.cql]\ncontact_points = ["{self.address}:{PORT}"]\nkeyspace = "{KEYSPACE}"\nreplication = {{ dc1 = 1 }}\n'
                "start_wait_s = 2\n")

    def records(self):
        """Call records by their identity: (Call-ID, milliseconds)."""
        with net.socket_in(self.net.name(NAME), (self.address, PORT), 30) as sock:
            ask(sock, STARTUP, struct.pack(">H", 1) + string("CQL_VERSION") + string("3.0.0"))
            text = f"SELECT record, call_id, duration_ms FROM {KEYSPACE}.cdrs".encode()
            body = ask(sock, QUERY, struct.pack(">i", len(text)) + text + struct.pack(">HB", 1, 0))
        return {id_: (call_id, duration_ms) for id_, call_id, duration_ms in rows(body)}


def string(text):
    return struct.pack(">H", len(text)) + text.encode()


def ask(sock, opcode, body):
    """Sends a frame; the body of the answer."""
    sock.sendall(struct.pack(">BBhBi", 4, 0, 0, opcode, len(body)) + body)
    _, _, _, answer, size = struct.unpack(">BBhBi", exactly(sock, 9))
    body = exactly(sock, size)
    if answer not in (READY, RESULT):
        raise RuntimeError(f"the central store answers {answer}: {body[:200]}")
    return body


def exactly(sock, size):
    found = bytearray()
    while len(found) < size:
        more = sock.recv(min(1 << 20, size - len(found)))
        if not more:
            raise RuntimeError("the central store has closed the connection")
        found += more
    return bytes(found)


def rows(body):
    """Rows of (text, text, bigint) of a result that is not paged."""
    kind, flags, columns = struct.unpack(">iii", body[:12])
    assert (kind, flags & ~1, columns) == (2, 0, 3), "what was asked for"
    at = 12

    def skip_string():
        nonlocal at
        at += 2 + struct.unpack(">H", body[at:at + 2])[0]

    if flags & 1:
        skip_string()
        skip_string()
    for _ in range(columns):
        if not flags & 1:
            skip_string()
            skip_string()
        skip_string()
        at += 2  # a plain type
    count = struct.unpack(">i", body[at:at + 4])[0]
    at += 4
    for _ in range(count):
        row = []
        for column in range(columns):
            size = struct.unpack(">i", body[at:at + 4])[0]
            at += 4
            value = body[at:at + max(size, 0)]
            at += max(size, 0)
            row.append(value.decode() if column < 2 else struct.unpack(">q", value)[0] if size == 8 else None)
        yield row
