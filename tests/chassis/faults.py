"""The fault menu. Each does its harm, says when, lets it take effect, heals, and waits until the switch is whole again."""

import signal
import time

from cluster import THIRD
from net import ip
from plant import wait
from store import Store

WHOLE_S = 40
SLOTS = 4096


class Fault:
    """What was done, for the judge."""

    def __init__(self, name, sites_lost=(), moves_pairs=True, several=False):
        self.several = several  # one after the other, within this one
        self.name, self.sites_lost, self.moves_pairs = name, tuple(sites_lost), moves_pairs
        self.begun = self.healed = self.whole = None
        self.inert = ""
        self.wrong = []  # what the switch itself showed and should not have


class Menu:
    def __init__(self, plant, say):
        self.plant, self.net, self.say = plant, plant.net, say
        self.done = []

    def names(self):
        return [name[3:].replace("_", "-") for name in dir(self) if name.startswith("do_")]

    def run(self, name, load):
        self.whole()
        before = self.plant.cluster()
        turn = sum(fault.turn_of == name for fault in self.done)
        fault = getattr(self, "do_" + name.replace("-", "_"))(turn)
        fault.turn_of = name
        load.check(fault.sites_lost + self.lost_lately())
        fault.healed = time.time()
        self.done.append(fault)
        try:
            self.whole()
        finally:
            fault.whole = time.time()
            after = self.plant.cluster()
            self.say(f"{fault.name}: whole again after {fault.whole - fault.begun:.1f} s; {brief(before)} -> {brief(after)}")
        if fault.moves_pairs and epochs(before) == epochs(after):
            fault.inert = "no group has changed its owner"
        return fault

    def lost_lately(self):
        """Sites whose connections may have ended: they also do when an address goes home."""
        return tuple(site for fault in self.done[-2:] for site in fault.sites_lost)

    def whole(self):
        wait("everything runs, and every group is at home with a full standby", WHOLE_S, self.plant.is_home_or_sent)

    # Each returns its Fault. `turn` counts the times it was done before: sides take turns.

    def side(self, turn):
        return 1 + turn % 2

    def proxy(self, chassis):
        return self.plant.of(chassis, "proxy")

    def do_kill_proxy(self, turn):
        """kill -9 of an active proxy."""
        node = self.proxy(self.side(turn))
        fault = Fault(f"kill -9 {node.name}")
        fault.begun = time.time()
        node.signal(signal.SIGKILL)
        node.wait(5)
        time.sleep(4)
        node.start()
        return fault

    def do_kill_chassis(self, turn):
        """kill -9 of everything on a chassis, cables and all."""
        chassis = self.side(turn)
        nodes = self.plant.on_chassis(chassis)
        relays = [relay for relay in self.plant.relays.values() if self.plant.nodes[relay.node].chassis == chassis]
        fault = Fault(f"kill chassis {'AB'[chassis - 1]}", sites_lost=[chassis - 1])
        fault.begun = time.time()
        for program in [*nodes, *relays]:
            program.signal(signal.SIGKILL)
        self.net.plug([node.name for node in nodes], False)
        for program in [*nodes, *relays]:
            program.wait(5)
        time.sleep(5)
        # A machine that comes back from a power cut has no floating address.
        for node in nodes:
            for address in self.plant.balancers:
                ip("-n", self.net.name(node.name), "addr", "del", f"{address}/16", "dev", "eth0", check=False)
        self.net.plug([node.name for node in nodes], True)
        for program in [*relays, *nodes]:
            program.start()
        return fault

    def do_stop_proxy(self, turn):
        """SIGSTOP of an active proxy for 5 s, then SIGCONT."""
        node = self.proxy(self.side(turn))
        fault = Fault(f"SIGSTOP {node.name} 5 s")
        fault.begun = time.time()
        node.signal(signal.SIGSTOP)
        time.sleep(5)
        node.signal(signal.SIGCONT)
        return fault

    def do_cut_one_way(self, turn):
        """One chassis no longer hears the other, which hears it."""
        deaf = self.side(turn)
        silent = 3 - deaf
        fault = Fault(f"{'AB'[deaf - 1]} deaf for {'AB'[silent - 1]}")
        fault.begun = time.time()
        self.net.cut(deaf, silent)
        return self.decided_for_one_side(fault)

    def do_cut_two_way(self, turn):
        """The chassis do not hear each other; the witness hears both."""
        fault = Fault("A and B cut apart")
        fault.begun = time.time()
        self.net.cut(1, 2)
        self.net.cut(2, 1)
        return self.decided_for_one_side(fault)

    def decided_for_one_side(self, fault):
        """Lets a cut last, and notes which side was shut out: everything has to stand on the other one."""
        time.sleep(5)
        cluster = self.plant.cluster()
        self.net.heal()
        chassis = {node.number: node.chassis for node in self.plant.nodes.values()}
        holders = {row["active"] for row in cluster["groups"]} | {row["holder"] for row in cluster["sites"]}
        sides = {chassis[number] for number in holders}
        if len(sides) != 1:
            fault.inert = f"nodes {sorted(holders)} hold something: nothing was decided for one side"
        fault.sites_lost = tuple(side - 1 for side in (1, 2) if side not in sides)
        if not any("shut out" in warning for warning in cluster["warnings"]):
            fault.inert = fault.inert or f"nobody is told of it: {cluster['warnings']}"
        return fault

    def do_isolate(self, turn):
        """A chassis hears neither the other nor the witness, nor they it; phones reach both."""
        alone = self.side(turn)
        fault = Fault(f"{'AB'[alone - 1]} isolated", sites_lost=[alone - 1])
        fault.begun = time.time()
        for other in (3 - alone, 3):
            self.net.cut(alone, other)
            self.net.cut(other, alone)
        time.sleep(5)
        self.net.heal()
        return fault

    def do_kill_leader(self, turn):
        """kill -9 of the director that leads."""
        node = self.plant.leader()
        fault = Fault(f"kill -9 leader {node.name}", moves_pairs=False)
        fault.begun = time.time()
        node.signal(signal.SIGKILL)
        node.wait(5)
        time.sleep(3)
        node.start()
        return fault

    def do_kill_leader_and_proxy(self, turn):
        """The director that leads and an active proxy at once: the election runs while the lease does."""
        leader, node = self.plant.leader(), self.proxy(self.side(turn))
        fault = Fault(f"kill -9 leader and {node.name}")
        fault.begun = time.time()
        leader.signal(signal.SIGKILL)
        node.signal(signal.SIGKILL)
        for program in (leader, node):
            program.wait(5)
        time.sleep(4)
        leader.start()
        node.start()
        return fault

    def do_rolling_restart(self, turn):
        """Every node in turn: SIGTERM, its end, its start, and the next when all is whole."""
        nodes = list(self.plant.nodes.values())
        # What has listened to a balancer over TCP has to connect again.
        fault = Fault("rolling restart", sites_lost=[0, 1], several=True)
        fault.begun = time.time()
        for node in nodes:
            node.signal(signal.SIGTERM)
            status = node.wait(20)
            if status is None:
                raise RuntimeError(f"{node.name} does not end")
            if status != 0:
                fault.inert = f"{node.name} ended with {status}"
            node.start()
            self.whole()
        return fault


    # The central store is off the path of calls: nobody may notice that it is away.

    def store_away(self, name, harm, heal):
        store = self.plant.store
        fault = Fault(name, moves_pairs=False)
        if store is None:
            raise RuntimeError("this stage has no central store: --store")
        up = lambda: [node.counter("store", "central_up") for node in self.plant.proxies()]
        fault.begun = time.time()
        harm(store)
        time.sleep(10)
        # A proxy that has not noticed was not without it.
        if any(up()):
            fault.inert = f"proxies hold the store for up: {up()}"
        heal(store)
        wait("every proxy has the central store again", WHOLE_S, lambda: all(up()))
        return fault

    def do_stop_store(self, turn):
        """kill -9 of the central store for 10 s."""
        return self.store_away("kill -9 store 10 s", Store.kill, Store.start)

    def do_freeze_store(self, turn):
        """SIGSTOP of the central store for 10 s: connections stand, and nothing answers."""
        return self.store_away("SIGSTOP store 10 s", lambda store: store.signal(signal.SIGSTOP), lambda store: store.signal(signal.SIGCONT))

    # The cluster grows and shrinks.

    def do_join_pair(self, turn):
        """A third pair joins, has its share for a while, and leaves again."""
        fault = Fault("pair joins, leaves", several=True)
        before = self.plant.shares()
        fault.begun = time.time()
        self.plant.join()
        wait("the third pair has its share", WHOLE_S, self.plant.is_settled)
        fault.wrong += wrong_shares(before, self.plant.shares(), THIRD[0])
        time.sleep(3)
        self.plant.take_out()
        wait("the third pair has given everything back", WHOLE_S, self.plant.is_settled)
        after = self.plant.shares()
        if {pair: sum(groups.values()) for pair, groups in after.items()} != {pair: sum(groups.values()) for pair, groups in before.items()}:
            fault.wrong.append(f"slots were {before}, and are {after} after the third pair")
        self.plant.part()
        return fault


def wrong_shares(before, after, third):
    """What is wrong with the slots that a third pair has taken from two. Groups are split and never mixed: a slot that had
    moved between the old pairs would stand in one more group."""
    wrong = []
    share = sum(after.get(third, {}).values())
    total = sum(sum(groups.values()) for groups in after.values())
    if total != SLOTS or not SLOTS / 3 * 0.88 < share < SLOTS / 3 * 1.12:
        wrong.append(f"the third pair has {share} of {total} slots")
    taken = 0
    for pair, groups in before.items():
        now = after.get(pair, {})
        if not set(now) <= set(groups) or any(now[group] > groups[group] for group in now):
            wrong.append(f"pair {pair} had {groups}, and has {now}")
        taken += sum(groups.values()) - sum(now.values())
    if taken != share:
        wrong.append(f"{taken} slots have left the old pairs, {share} have come to the third")
    return wrong


def epochs(cluster):
    return {row["group"]: row["epoch"] for row in cluster["groups"]} if cluster else {}


def brief(cluster):
    if not cluster:
        return "nobody knows"
    rows = [f"{row['group']}:{row['active']}/{row['standby']}{'' if row['full'] else '?'} e{row['epoch']}" for row in cluster["groups"]]
    return f"v{cluster['version']} " + " ".join(rows)
