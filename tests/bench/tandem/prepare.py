#!/usr/bin/env python3
"""Configuration and subscribers of a benchmarked switch.

The switch makes its own database at its first start; subscribers u000000 ... are then written into the tables in one
transaction (through the API it would take minutes), and the filled file is kept for the next run.
"""
import argparse
import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import time
import urllib.request

REALM = "bench.invalid"


def config(o, data, relay):
    forward = f"forward = [{', '.join(chr(34) + s + chr(34) for s in o.sinks.split(','))}]\n" if "lb_only" in o.feature else ""
    media = f'[[anchor.relays]]\nname = "media1"\naddress = "{o.ng}"\n' if relay else ""
    return f"""node = 1
name = "bench"
data_dir = "{data}"
workers = 1
shards = 16

[[listen]]
transport = "udp"
address = "{o.ext}"

[balancer]
flood_messages_per_s = 0
{forward}
[call]
without_relay = "{'refuse' if relay else 'unanchored'}"

[control]
listen = "{o.control}"

[trace]
messages_max = 0

[log]
level = "warn"

{media}"""


def cluster(o, node):
    """Node 1 is everything, node 2 its standby on another chassis; one director decides, so that nothing needs a lease."""
    keys, names = os.path.join(o.dir, "keys"), {1: "switch", 2: "standby"}
    one, two = o.ext.rpartition(":")[0], o.standby.rpartition(":")[0]
    roles = {1: ["balancer", "proxy", "director"], 2: ["proxy"]}
    address = {1: f"{one}:5070", 2: f"{two}:5070"}
    nodes = "".join(f'[[cluster.nodes]]\nnode = {n}\nname = "{names[n]}"\nchassis = {n}\naddress = "{address[n]}"\nroles = {roles[n]}\n'
                    for n in names).replace("'", '"')
    return f"""
[cluster]
name = "bench"
certificate = "{keys}/{names[node]}.pem"
key = "{keys}/{names[node]}.key"
authority = "{keys}/authority.pem"
{nodes}
[[cluster.pairs]]
pair = 1
nodes = [1, 2]
"""


def make_keys(o):
    def make(*words):
        subprocess.run([o.bin, "ctl", "certificate", *words], check=True, stdout=subprocess.DEVNULL)

    keys = os.path.join(o.dir, "keys")
    make("authority", "--out", keys)
    for node, name, roles in ((1, "switch", "balancer,proxy,director"), (2, "standby", "proxy")):
        make("node", "--authority", keys, "--node", str(node), "--name", name, "--chassis", str(node), "--roles", roles, "--out", keys)


def pair(o, data, database):
    """Configuration and database of both nodes."""
    make_keys(o)
    for node, control, folder, name in ((1, o.control, data, "tandem"), (2, o.standby, os.path.join(o.dir, "data2"), "standby")):
        os.makedirs(folder, exist_ok=True)
        shutil.copy(database, os.path.join(folder, "tandem.db"))
        with open(os.path.join(folder, "secret"), "w") as f:
            f.write("0f" * 16)
        os.chmod(os.path.join(folder, "secret"), 0o600)
        text = config(o, folder, False).replace("node = 1\n", f"node = {node}\n")
        text = text.replace(o.control, control).replace(f'address = "{o.ext}"\n', f'address = "{o.ext}"\nsite = 1\n')
        with open(os.path.join(o.dir, f"{name}.toml"), "w") as f:
            f.write(text + cluster(o, node))


def wait_ready(control, process):
    for _ in range(200):
        if process.poll() is not None:
            raise SystemExit("the switch ended while its database was made; see prepare.log")
        try:
            urllib.request.urlopen(f"http://{control}/status", timeout=0.5).read()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the switch did not get ready; see prepare.log")


def fill(path, users):
    db = sqlite3.connect(path)
    now = int(time.time() * 1000)
    with db:
        db.execute("INSERT INTO domains (id, domain, reseller_id) VALUES (1, ?, 1)", (REALM,))
        db.execute("INSERT INTO customers (id, status, type, external_id, create_ms, modify_ms) VALUES (1, 'active', 'sipaccount', 'bench', ?, ?)", (now, now))

        def rows():
            for i in range(users):
                u = f"u{i:06d}"
                a1 = f"{u}:{REALM}:pw-{u}".encode()
                yield (f"00000000-0000-4000-8000-{i:012d}", u, hashlib.md5(a1).digest(), hashlib.sha256(a1).digest(), now, now)

        db.executemany(
            "INSERT INTO subscribers (uuid, domain_id, customer_id, username, ha1_md5, ha1_sha256, status, lock, administrative, create_ms, modify_ms)"
            " VALUES (?, 1, 1, ?, ?, ?, 'active', 0, 0, ?, ?)", rows())
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def main():
    a = argparse.ArgumentParser()
    for name in ("dir", "bin", "ext", "control", "ng", "sinks"):
        a.add_argument(f"--{name}", required=True)
    a.add_argument("--users", type=int, required=True)
    a.add_argument("--standby", default="", help="control port of a second node, which is the standby of the first")
    a.add_argument("--feature", action="append", default=[])
    o = a.parse_args()
    data = os.path.join(o.dir, "data")
    os.makedirs(data, exist_ok=True)
    conf = os.path.join(o.dir, "tandem.toml")
    template = os.path.join(os.path.dirname(o.bin), f"bench-{o.users}.db")
    newest = os.path.getmtime(o.bin)
    if not os.path.exists(template) or os.path.getmtime(template) < newest:
        with open(conf, "w") as f:
            f.write(config(o, data, False))
        with open(os.path.join(o.dir, "prepare.log"), "w") as log:
            p = subprocess.Popen([o.bin, "solo", "--config", conf], stdout=log, stderr=log)
        try:
            wait_ready(o.control, p)
        finally:
            p.send_signal(signal.SIGTERM)
            p.wait(20)
        fill(os.path.join(data, "tandem.db"), o.users)
        shutil.copy(os.path.join(data, "tandem.db"), template + ".new")
        os.replace(template + ".new", template)
    shutil.rmtree(data)
    os.makedirs(data)
    if o.standby:
        return pair(o, data, template)
    shutil.copy(template, os.path.join(data, "tandem.db"))
    with open(conf, "w") as f:
        f.write(config(o, data, "rtpengine" in o.feature))


main()
