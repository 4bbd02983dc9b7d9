"""The load: SIPp as callers, as callees and as phones that keep registering."""

import os
import resource
import signal
import socket
import subprocess
import time

import ladders
from net import NET

# A phone does not wait for a processor either; the switch goes before it.
NICE = -10
USERS_A_CALLER = 300
CALLEES = {"a": 100, "b": 100, "c": 40}


class Shape:
    """How much there is of what. Rates are calls a second of all callers together."""

    def __init__(self, rate=20, ring_s=5, talk_s=25, phones=200, refresh_s=10):
        self.rate, self.ring_s, self.talk_s, self.phones, self.refresh_s = rate, ring_s, talk_s, phones, refresh_s

    def waits(self):
        return {"ring": self.ring_s * 1000, "talk": self.talk_s * 1000, "half": self.talk_s * 500}


class Sipp:
    """One SIPp process with its logs."""

    def __init__(self, name, folder, address, port, transport, switch, xml, arguments):
        self.name, self.address, self.port, self.transport = name, address, port, transport
        self.folder, self.switch, self.arguments = folder, switch, arguments
        self.scenario = os.path.join(folder, f"{name}.xml")
        self.logs = []  # one of each start
        self.deaths = {}  # when it ended with its connection, by the log of that start
        self.finished = False
        with open(self.scenario, "w") as file:
            file.write(xml)
        self.start()

    def start(self):
        turn = f"{self.name}{'.' + str(len(self.logs) + 1) if self.logs else ''}"
        self.logs.append(os.path.join(self.folder, f"{turn}.msg"))
        self.errors = os.path.join(self.folder, f"{turn}.err")
        # The switch's machines may still know the connections of the one before.
        address, port = self.address, self.port + 10 * (len(self.logs) - 1)
        command = ["sipp", self.switch, "-sf", self.scenario, "-i", address, "-bind_local", "-p", str(port), "-mi", address,
                   "-t", self.transport, "-nostdin", "-trace_msg", "-message_file", self.logs[-1], "-trace_err",
                   "-error_file", self.errors,
                   "-ci", address, "-cp", str(port + 3000), "-skip_rlimit", "-timer_resol", "5",
                   "-watchdog_minor_threshold", "5000", "-watchdog_major_threshold", "60000",
                   "-watchdog_reset", "600000", "-buff_size", "2097152", "-deadcall_wait", "0",
                   "-max_invite_retrans", "7", "-max_non_invite_retrans", "11", *self.arguments]
        log = open(os.path.join(self.folder, f"{turn}.out"), "wb")
        self.process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_limits)
        log.close()

    def finish(self):
        """Starts no more calls; ends when the running ones have ended."""
        self.finished = True
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGUSR1)

    def wait(self, until):
        while self.process.poll() is None and time.time() < until:
            time.sleep(0.05)
        return self.process.poll()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def _limits():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.setpriority(os.PRIO_PROCESS, 0, NICE)


class Load:
    """All phones. `balancers` are the addresses that phones are told, one a site."""

    def __init__(self, net, folder, balancers, shape):
        self.net, self.folder, self.balancers, self.shape = net, folder, balancers, shape
        self.callers, self.callees, self.registrars = [], [], []
        os.makedirs(folder, exist_ok=True)

    # Who is who: `a...`, `b...` and `c...` are called, `k<caller>-...` call, `r...` only keep registering.
    def caller_plan(self):
        """(name, kind, transport, site, share of the rate)."""
        plan = []
        for site in range(len(self.balancers)):
            letter = "AB"[site]
            plan += [(f"ua{letter}", "a", "u1", site, 7), (f"ub{letter}", "b", "u1", site, 7), (f"uc{letter}", "c", "u1", site, 4),
                     (f"ta{letter}", "a", "t1", site, 1), (f"tb{letter}", "b", "t1", site, 1)]
        return plan

    def users(self):
        users = [f"{kind}{n:03d}" for kind, count in CALLEES.items() for n in range(count)]
        users += [f"k{name}{n:03d}" for name, *_ in self.caller_plan() for n in range(USERS_A_CALLER)]
        users += [f"r{n:03d}" for n in range(self.shape.phones)]
        users.append("probe")
        return users

    def start_callees(self):
        """Registers the callees from the addresses where they answer, then lets SIPp answer."""
        for place, (kind, count) in enumerate(CALLEES.items()):
            for site, balancer in enumerate(self.balancers):
                address = f"{NET}.9.{20 + 10 * site + place}"
                self.net.phone(address)
                users = [f"{kind}{n:03d}" for n in range(count) if n % len(self.balancers) == site]
                register(address, 5060, balancer, users, expires=3600)
                xml = ladders.scenario(ladders.CALLEES[kind], self.shape.waits())
                self.callees.append(Sipp(f"callee-{kind}{'AB'[site]}", self.folder, address, 5060, "u1", f"{balancer}:5060", xml, []))

    def start_registrars(self):
        """Phones that refresh every `refresh_s`, with a lifetime of three times that, or the shortest allowed."""
        for site, balancer in enumerate(self.balancers):
            name = f"phones-{'AB'[site]}"
            address = f"{NET}.9.{50 + site}"
            self.net.phone(address)
            users = [f"r{n:03d}" for n in range(self.shape.phones) if n % len(self.balancers) == site]
            self._table(name, [(user, user) for user in users])
            rate = max(1, round(len(users) / self.shape.refresh_s))
            xml = ladders.scenario(ladders.REGISTER, {}).replace("[expires]", str(max(60, 3 * self.shape.refresh_s)))
            self.registrars.append(Sipp(name, self.folder, address, 5060, "u1", f"{balancer}:5060", xml,
                                        ["-inf", f"{name}.tab", "-r", str(rate)]))

    def start_callers(self):
        plan = self.caller_plan()
        shares = sum(share for *_, share in plan)
        for place, (name, kind, transport, site, share) in enumerate(plan):
            address = f"{NET}.9.{70 + place}"
            self.net.phone(address)
            callees = CALLEES[kind]
            self._table(name, [(f"k{name}{n:03d}", f"{kind}{(n * 7 + place) % callees:03d}") for n in range(USERS_A_CALLER)])
            # SIPp takes whole numbers a period only.
            period = round(1000 * shares / (self.shape.rate * share))
            xml = ladders.scenario(ladders.CALLERS[kind], self.shape.waits())
            # SIPp 3.6.1 cannot be trusted to connect again (it ends at an assertion): it ends with its connection, and a new
            # one is started.
            self.callers.append(Sipp(name, self.folder, address, 5060, transport, f"{self.balancers[site]}:5060", xml,
                                     ["-inf", f"{name}.tab", "-r", "1", "-rp", str(period), "-l", "3000",
                                      *(["-pause_msg_ign"] if kind == "c" else [])]))

    def _table(self, name, rows):
        with open(os.path.join(self.folder, f"{name}.tab"), "w") as file:
            file.write("SEQUENTIAL\n")
            for user, callee in rows:
                file.write(f"{user};[authentication username={user} password=pw-{user}];{callee}\n")

    def everyone(self):
        return [*self.callers, *self.registrars, *self.callees]

    def check(self, sites_lost=()):
        """Nobody may have ended by himself, but whoever has lost the connection to a balancer."""
        for sipp in self.everyone():
            if sipp.process.poll() is None or sipp.finished:
                continue
            if sipp.transport == "t1" and any(f"{self.balancers[site]}:" in sipp.switch for site in sites_lost):
                sipp.deaths[sipp.logs[-1]] = os.path.getmtime(sipp.errors if os.path.exists(sipp.errors) else sipp.logs[-1])
                sipp.start()
            else:
                raise RuntimeError(f"{sipp.name} has ended with {sipp.process.returncode}: {tail(sipp.errors)}")

    def end(self, seconds, before_callees=lambda: None):
        """Lets running calls end, at most so long, then stops everybody. Returns who had to be stopped."""
        late = []
        until = time.time() + seconds
        for sipp in [*self.callers, *self.registrars]:
            sipp.finish()
        for sipp in [*self.callers, *self.registrars]:
            if sipp.wait(until) is None:
                late.append(sipp.name)
        before_callees()
        time.sleep(1.0)
        for sipp in self.everyone():
            sipp.kill()
        return late

    def kill(self):
        for sipp in self.everyone():
            sipp.kill()


def tail(path, size=600):
    try:
        with open(path, errors="replace") as file:
            return file.read()[-size:]
    except OSError:
        return ""


def register(address, port, balancer, users, expires):
    """Registers users with a contact at `address`, a few at a time, in the manner of a phone: it repeats itself."""
    import re
    from digest import authorization

    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, port))
    sock.settimeout(0.5)

    def text(user, cseq, more):
        return (f"REGISTER sip:{ladders.DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {address}:{port};rport;branch=z9hG4bKreg{user}{cseq}\r\n"
                f"Max-Forwards: 70\r\nFrom: <sip:{user}@{ladders.DOMAIN}>;tag=r{user}\r\nTo: <sip:{user}@{ladders.DOMAIN}>\r\n"
                f"Call-ID: reg-{user}-{address}\r\nCSeq: {cseq} REGISTER\r\nContact: <sip:{user}@{address}:{port}>\r\n"
                f"Expires: {expires}\r\n{more}Content-Length: 0\r\n\r\n").encode()

    for start in range(0, len(users), 20):
        waiting = {user: text(user, 1, "") for user in users[start:start + 20]}
        for _ in range(20):
            for message in waiting.values():
                sock.sendto(message, (balancer, 5060))
            end = time.time() + 0.5
            while waiting and time.time() < end:
                try:
                    reply = sock.recv(65536).decode(errors="replace")
                except socket.timeout:
                    break
                user = re.search(r"(?im)^Call-ID: *reg-([a-z0-9]+)-", reply)
                if user is None or user[1] not in waiting:
                    continue
                user = user[1]
                if reply.startswith("SIP/2.0 401") and re.search(r"(?im)^CSeq: *1 ", reply):
                    challenge = re.search(r"(?im)^WWW-Authenticate: *(.*?)\r?$", reply)[1]
                    answer = authorization(challenge, user, f"pw-{user}", "REGISTER", f"sip:{ladders.DOMAIN}")
                    waiting[user] = text(user, 2, f"Authorization: {answer}\r\n")
                    sock.sendto(waiting[user], (balancer, 5060))
                elif reply.startswith("SIP/2.0 200"):
                    del waiting[user]
                elif not reply.startswith(("SIP/2.0 1", "SIP/2.0 401")):
                    raise RuntimeError(f"registration of {user}: {reply.splitlines()[0]}")
            if not waiting:
                break
        if waiting:
            raise RuntimeError(f"{balancer} does not register {sorted(waiting)[:5]}")
    sock.close()
