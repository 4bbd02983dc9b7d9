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
# A third pair, which comes and goes.
MORE = [(4, "proxy-c", 1, 4, "proxy"), (14, "proxy-d", 2, 4, "proxy")]
THIRD = (3, (4, 14))
# A proxy of each chassis is active for one pair and standby for the other.
PAIRS = [(1, (2, 12)), (2, (12, 2))]
SITES = [(1, (1, 11)), (11, (11, 1))]


def plain(line):
    """A log line without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", line)


class Cluster(Plant):
    def __init__(self, stage, folder, binary, env=None, more="", store=None):
        """`store`: a central store (`store.Store`) that the proxies know; subscribers then stand there."""
        super().__init__(stage, folder, binary)
        self.env, self.more, self.store = env or {}, more, store
        self.members, self.pairs = list(NODES), list(PAIRS)
        self.secret, self.database = secrets.token_hex(16), None

    def build(self, users):
        self.certificates()
        self.database = self.fill(users)
        for row in NODES:
            self.place(row)

    def place(self, row):
        """A node with its namespace, files and, on balancers, relay; not started."""
        number, name, chassis, host, roles = row
        address = f"{NET}.{chassis}.{host}"
        if name not in self.net.nodes:
            self.net.add(name, chassis, address)
        data = self.data(name)
        with open(os.path.join(data, "secret"), "w") as file:
            file.write(self.secret)
        os.chmod(os.path.join(data, "secret"), 0o600)
        # The first proxy fills the central store from what it has; the others must come without.
        if roles == "proxy" and (self.store is None or row == NODES[1]):
            shutil.copy(self.database, os.path.join(data, "tandem.db"))
        path = self.config(name, self.text(number, name, roles, data))
        node = Node(self.net, name, chassis, address, [self.binary, "run", "--config", path], self.folder, self.env)
        node.number = number
        self.nodes[name] = node
        if roles == "balancer":
            self.relay(name, address)
        return node

    def certificates(self):
        keys = os.path.join(self.folder, "keys")

        def make(*words):
            subprocess.run([self.binary, "ctl", "certificate", *words], check=True, capture_output=True)

        make("authority", "--out", keys)
        for number, name, chassis, _, roles in NODES + MORE:
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
        if roles == "proxy" and self.store is not None:
            out += self.store.section()
        move = os.path.join(HERE, "address")
        # Faults come faster here than a well-kept house allows: damping is shortened, nothing else.
        out += (f'[cluster]\nname = "chassis"\ncertificate = "{keys}/{name}.pem"\nkey = "{keys}/{name}.key"\nauthority = "{keys}/authority.pem"\n'
                f'address_up = ["{move}", "up", "{{address}}"]\naddress_down = ["{move}", "down", "{{address}}"]\n'
                "[cluster.director]\nquarantine_ms = 200\nquarantine_ms_max = 2000\n")
        for other, other_name, chassis, host, other_roles in self.members:
            out += (f'[[cluster.nodes]]\nnode = {other}\nname = "{other_name}"\nchassis = {chassis}\n'
                    f'address = "{NET}.{chassis}.{host}:{LINKS}"\nroles = ["{other_roles}"]\n')
        for pair, nodes in self.pairs:
            out += f"[[cluster.pairs]]\npair = {pair}\nnodes = {list(nodes)}\n"
        for site, holders in SITES:
            out += f"[[cluster.sites]]\nsite = {site}\nholders = {list(holders)}\n"
        return out

    # What an operator does to it.

    def reload(self, names=None):
        """Files as nodes and pairs are now, and `tandem ctl reload`, on these nodes or all."""
        rows = {row[1]: row for row in NODES + MORE}
        for name in list(self.nodes) if names is None else names:
            number, _, _, _, roles = rows[name]
            self.config(name, self.text(number, name, roles, self.data(name)))
            done = subprocess.run([*self.net.inside(name), self.binary, "ctl", "reload"], capture_output=True, text=True)
            if done.returncode != 0:
                raise RuntimeError(f"{name} does not reload: {done.stdout}{done.stderr}")

    def join(self):
        """Two more proxies, and the pair that they are."""
        self.members, self.pairs = NODES + MORE, [*PAIRS, THIRD]
        others = list(self.nodes)
        for row in MORE:
            self.place(row).start()
        # The new ones may come before or after the others are told.
        self.reload(others)

    def take_out(self):
        """The third pair holds nothing any more from now on; its nodes are still there."""
        self.pairs = list(PAIRS)
        self.reload()

    def part(self):
        """The nodes of the third pair go."""
        for _, name, _, _, _ in MORE:
            node = self.nodes.pop(name)
            node.seen()
            node.signal(signal.SIGTERM)
            if node.wait(20) != 0:
                raise RuntimeError(f"it should have ended with 0: {node.last_words()}")
            self.retired.append(node)
        self.members = list(NODES)
        self.reload()

    def shares(self):
        """Slots of each pair, and the groups that they are."""
        seen = self.cluster()
        shares = {}
        for row in seen["groups"]:
            shares.setdefault(row["pair"], {})[row["group"]] = seen["slots"][str(row["group"])]
        return shares

    def is_settled(self):
        """Every group is full, and active and standby are the nodes of its pair."""
        if not self.is_full():
            return False
        pairs = dict(self.pairs)
        return all(row["active"] in pairs[row["pair"]] and row["standby"] in pairs[row["pair"]] for row in self.cluster()["groups"])

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
            dead = [program for program in self.programs() if not program.is_running()]
            raise RuntimeError("\n".join(program.last_words() for program in dead))
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
        homes = {pair: nodes[0] for pair, nodes in self.pairs}
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
        if self.store is not None:
            wait("every proxy has the subscribers", limit, self.is_copied)

    def proxies(self):
        return [self.nodes[name] for _, name, _, _, roles in self.members if roles == "proxy" and name in self.nodes]

    def is_copied(self):
        return all((node.counter("store", "central_change") or 0) >= 1 for node in self.proxies())

    def stale(self):
        nodes = [*self.nodes.values(), *self.retired]
        refused = sum(node.counted("stale_letters") + node.counted("stale_records") for node in nodes)
        return sum(node.counted("stale_taken") for node in nodes), refused

    def central_records(self, cdrs, seconds=20):
        if self.store is None:
            return None
        until = time.time() + seconds
        while True:
            found = self.store.records()
            if set(cdrs) <= set(found) or time.time() > until:
                return found
            time.sleep(0.5)

    def report(self, say):
        for node in self.nodes.values():
            status = node.seen()
            if status:
                say(f"{node.name}: " + " ".join(f"{key} {value}" for key, value in status["counts"].items() if value))
