"""The switch on two chassis with a witness: seven nodes, two pairs, two balancer sites, an rtpengine on each chassis."""

import os
import re
import secrets
import shutil
import signal
import subprocess
import time

from net import NET, ip
from plant import COMMON, CONTROL, NG, Node, Plant, wait

HERE = os.path.dirname(os.path.abspath(__file__))
LINKS = 5070

# number, name, chassis, host, roles
NODES = [
    (1, "balancer-a", 1, 1, "balancer"), (2, "proxy-a", 1, 2, "proxy"), (3, "director-a", 1, 3, "director"),
    (11, "balancer-b", 2, 1, "balancer"), (12, "proxy-b", 2, 2, "proxy"), (13, "director-b", 2, 3, "director"),
    (23, "witness", 3, 3, "witness"),
]
# A proxy of each chassis is active for one pair and standby for the other.
PAIRS = [(1, (2, 12)), (2, (12, 2))]
SITES = [(1, (1, 11)), (11, (11, 1))]


def plain(line):
    """A log line without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", line)


class Cluster(Plant):
    def __init__(self, stage, folder, binary, chassis=2, standby=True, env=None, more=""):
        super().__init__(stage, folder, binary)
        self.env, self.more = env or {}, more

    def build(self, users):
        self.certificates()
        secret = secrets.token_hex(16)
        database = self.fill(users)
        for number, name, chassis, host, roles in NODES:
            address = f"{NET}.{chassis}.{host}"
            self.net.add(name, chassis, address)
            data = self.data(name)
            with open(os.path.join(data, "secret"), "w") as file:
                file.write(secret)
            os.chmod(os.path.join(data, "secret"), 0o600)
            if roles == "proxy":
                shutil.copy(database, os.path.join(data, "tandem.db"))
            path = self.config(name, self.text(number, name, roles, data))
            self.nodes[name] = Node(self.net, name, chassis, address, [self.binary, "run", "--config", path], self.folder, self.env)
            self.nodes[name].number = number
            if roles == "balancer":
                self.relay(name, address)

    def certificates(self):
        keys = os.path.join(self.folder, "keys")

        def make(*words):
            subprocess.run([self.binary, "ctl", "certificate", *words], check=True, capture_output=True)

        make("authority", "--out", keys)
        for number, name, chassis, _, roles in NODES:
            make("node", "--authority", keys, "--node", str(number), "--name", name, "--chassis", str(chassis), "--roles", roles,
                 "--out", os.path.join(keys, name))

    def text(self, number, name, roles, data):
        """Configuration of a node."""
        keys = os.path.join(self.folder, "keys", name)
        out = f'node = {number}\nname = "{name}"\ndata_dir = "{data}"\nworkers = 1\n{COMMON}{self.more}[control]\nlisten = "127.0.0.1:{CONTROL}"\n'
        if roles in ("balancer", "proxy"):
            for place, (site, _) in enumerate(SITES):
                for transport in ("udp", "tcp"):
                    out += (f'[[listen]]\ntransport = "{transport}"\naddress = "{self.balancers[place]}:5060"\nsite = {site}\n'
                            "floating = true\n")
        if roles == "balancer":
            chassis = next(chassis for other, _, chassis, _, _ in NODES if other == number)
            out += f'[[anchor.relays]]\nname = "media{chassis}"\naddress = "{NET}.{chassis}.1:{NG}"\n'
        move = os.path.join(HERE, "address")
        # Faults come faster here than a well-kept house allows: damping is shortened, nothing else.
        out += (f'[cluster]\nname = "chassis"\ncertificate = "{keys}/{name}.pem"\nkey = "{keys}/{name}.key"\nauthority = "{keys}/authority.pem"\n'
                f'address_up = ["{move}", "up", "{{address}}"]\naddress_down = ["{move}", "down", "{{address}}"]\n'
                "[cluster.director]\nquarantine_ms = 200\nquarantine_ms_max = 2000\n")
        for other, other_name, chassis, host, other_roles in NODES:
            out += (f'[[cluster.nodes]]\nnode = {other}\nname = "{other_name}"\nchassis = {chassis}\n'
                    f'address = "{NET}.{chassis}.{host}:{LINKS}"\nroles = ["{other_roles}"]\n')
        for pair, nodes in PAIRS:
            out += f"[[cluster.pairs]]\npair = {pair}\nnodes = {list(nodes)}\n"
        for site, holders in SITES:
            out += f"[[cluster.sites]]\nsite = {site}\nholders = {list(holders)}\n"
        return out

    # What is asked of it.

    def on_chassis(self, chassis):
        return [node for node in self.nodes.values() if node.chassis == chassis]

    def of(self, chassis, role):
        names = [name for _, name, own, _, roles in NODES if own == chassis and roles == role]
        return self.nodes[names[0]]

    def cluster(self):
        """The newest ownership that any node knows, as it shows it."""
        seen = []
        for node in self.nodes.values():
            status = node.seen()
            if status is not None:
                seen.append(status)
        return max(seen, key=lambda status: status["version"], default=None)

    def is_full(self):
        """Everything runs and agrees, and every group has a standby that could take over."""
        if not all(program.is_running() for program in self.programs()):
            dead = [program.name for program in self.programs() if not program.is_running()]
            raise RuntimeError(f"ended by itself: {dead}")
        seen = [node.seen() for node in self.nodes.values()]
        if any(status is None for status in seen):
            return False
        newest = max(status["version"] for status in seen)
        for status in seen:
            rows = status["groups"]
            if status["version"] != newest or not rows or any(not row["full"] or row["standby"] is None for row in rows):
                return False
            if any(row["dormant"] for row in rows):
                return False
        return True

    def away(self):
        """Sites that another node holds: (site, ...)."""
        return [row["site"] for row in self.cluster()["sites"] if row["holder"] != row["site"]]

    def homes(self):
        """Groups that are not where they belong: (group, node)."""
        seen = self.cluster()
        homes = {pair: nodes[0] for pair, nodes in PAIRS}
        return [(row["group"], homes[row["pair"]]) for row in seen["groups"] if row["active"] != homes[row["pair"]]]

    def is_home_or_sent(self):
        """Whether all is whole and where it belongs; what is not is sent there, as an operator would."""
        if not self.is_full():
            return False
        try:
            homes, away = self.homes(), self.away()
            for group, number in homes:
                self.at(number).ask("/cluster/make-active", timeout=10, verb="POST", body={"group": group})
            for site in away:
                self.at(site).ask("/cluster/hold-site", timeout=10, verb="POST", body={})
        except OSError:
            return False  # the leading director has changed, say: it is asked again
        return not homes and not away

    def at(self, number):
        return next(node for node in self.nodes.values() if node.number == number)

    def leader(self):
        """The director that leads: the last one that said so, of those that run."""
        newest = (-1, None)
        for _, name, _, _, roles in NODES:
            if roles in ("director", "witness") and self.nodes[name].is_running():
                with open(os.path.join(self.folder, f"{name}.log"), errors="replace") as file:
                    terms = [int(found[1]) for line in file if (found := re.search(r"this director leads.*?term=(\d+)", plain(line)))]
                newest = max(newest, (terms[-1], name) if terms else (-1, None), key=lambda one: one[0])
        if newest[1] is None:
            raise RuntimeError("no director says that it leads")
        return self.nodes[newest[1]]

    def start(self, limit=60):
        super().start(limit)
        wait("every group has a full standby", limit, self.is_full)

    def report(self, say):
        for node in self.nodes.values():
            status = node.seen()
            if status:
                say(f"{node.name}: " + " ".join(f"{key} {value}" for key, value in status["counts"].items() if value))
