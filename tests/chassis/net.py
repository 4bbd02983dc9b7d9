"""Network of the test: a namespace with a bridge, where the phones are, and one namespace a node.

Everything has the prefix of this test and is removed by it; the network of the machine is not touched.
"""

import ctypes
import os
import signal
import socket
import subprocess
import time

PREFIX = os.environ.get("CHASSIS_PREFIX", "tdc")
NET = "10.77"
CLONE_NEWNET = 0x40000000


def ip(*words, check=True):
    done = subprocess.run(["ip", *map(str, words)], capture_output=True, text=True)
    if check and done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout


def namespaces():
    return [line.split()[0] for line in ip("netns", "list").splitlines() if line.startswith(PREFIX + "-")]


def clean(seconds=10):
    """Ends what an earlier run has left in its namespaces, and removes them."""
    for name in namespaces():
        end = time.time() + seconds
        while time.time() < end:
            pids = [int(pid) for pid in ip("netns", "pids", name, check=False).split()]
            pids = [pid for pid in pids if pid != os.getpid()]
            if not pids:
                break
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.05)
        ip("netns", "del", name)


def enter(name):
    """Puts this thread, and the processes that it starts, into a namespace."""
    with open(f"/run/netns/{name}") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {name}")


def socket_in(name, address, seconds):
    """A TCP connection from inside a namespace; the caller stays where it is."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        enter(name)
        try:
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        finally:
            if ctypes.CDLL(None, use_errno=True).setns(home, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns back")
    finally:
        os.close(home)
    sock.settimeout(seconds)
    try:
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


class Net:
    """The stage: `phones` holds the bridge and every phone's address."""

    def __init__(self):
        self.phones = f"{PREFIX}-phones"
        self.nodes = {}  # name of a node: its chassis

    def raise_up(self):
        clean()
        ip("netns", "add", self.phones)
        ip("-n", self.phones, "link", "set", "lo", "up")
        ip("-n", self.phones, "link", "add", "br0", "type", "bridge", "forward_delay", "0")
        ip("-n", self.phones, "link", "set", "br0", "up")
        # The harness is a phone among phones: it talks to the control ports and sends probes.
        self.phone(f"{NET}.9.254")

    def phone(self, address):
        ip("-n", self.phones, "addr", "add", f"{address}/16", "dev", "br0")

    def add(self, node, chassis, *addresses):
        """A namespace with these addresses, wired to the bridge."""
        name = self.name(node)
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", self.phones, "link", "add", node, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("-n", self.phones, "link", "set", node, "master", "br0", "up")
        for address in addresses:
            ip("-n", name, "addr", "add", f"{address}/16", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        self.nodes[node] = chassis

    def name(self, node):
        return f"{PREFIX}-{node}"

    def inside(self, node):
        """Command prefix that runs something where a node is; the process keeps the id that it is started with."""
        return ["ip", "netns", "exec", self.name(node)]

    def plug(self, nodes, up):
        """Pulls the cables of nodes, or puts them in again."""
        lines = "".join(f"link set {node} {'up' if up else 'down'}\n" for node in nodes)
        subprocess.run(["ip", "-n", self.phones, "-b", "-"], input=lines, text=True, check=True)

    def cut(self, deaf, silent):
        """The nodes of chassis `deaf` no longer hear those of chassis `silent`: a one-way cut."""
        for node, chassis in self.nodes.items():
            if chassis == deaf:
                rule = ["iptables", "-w", "-A", "INPUT", "-s", f"{NET}.{silent}.0/24", "-j", "DROP"]
                subprocess.run([*self.inside(node), *rule], check=True, capture_output=True)

    def heal(self):
        for node in self.nodes:
            subprocess.run([*self.inside(node), "iptables", "-w", "-F", "INPUT"], check=True, capture_output=True)

    def bytes_of(self, node):
        """Bytes that a node's interface has received and sent."""
        fields = self._statistics(node)
        return fields[0], fields[8]

    def _statistics(self, node):
        done = subprocess.run([*self.inside(node), "cat", "/proc/net/dev"], capture_output=True, text=True, check=True)
        line = next(line for line in done.stdout.splitlines() if line.strip().startswith("eth0:"))
        return [int(word) for word in line.split(":")[1].split()]

    def take_down(self):
        clean()
