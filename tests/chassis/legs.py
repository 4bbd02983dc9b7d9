"""What the phones saw: SIPp's message logs as legs, and legs as calls."""

import os
import re
import time

MARK = re.compile(r"^-{40,} (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.(\d+)$")


class Message:
    __slots__ = ("at", "sent", "status", "method", "call_id", "cseq", "branch", "from_user", "to_tag", "text")

    def __init__(self, at, sent, text):
        self.at, self.sent, self.text = at, sent, text
        lines = text.split("\n")
        first = lines[0].strip()
        self.status = int(first[8:11]) if first.startswith("SIP/2.0 ") else 0
        self.call_id = self.method = self.branch = self.from_user = self.to_tag = ""
        self.cseq = 0
        for line in lines[1:]:
            line = line.rstrip("\r")
            if not line:
                break
            name, _, value = line.partition(":")
            name, value = name.lower(), value.strip()
            if name == "call-id":
                self.call_id = value
            elif name == "cseq":
                number, _, method = value.partition(" ")
                self.cseq, self.method = int(number), method.strip()
            elif name == "via" and not self.branch:
                self.branch = value.partition("branch=")[2].partition(";")[0]
            elif name == "from":
                self.from_user = value.partition("sip:")[2].partition("@")[0]
            elif name == "to":
                self.to_tag = value.partition("tag=")[2].partition(";")[0]

    def is_request(self, method):
        return self.status == 0 and self.method == method

    def gist(self):
        arrow = ">" if self.sent else "<"
        return f"{arrow} {self.status or ''}{' ' if self.status else ''}{self.method} {self.cseq}"


class Log:
    """A message log that is read as it grows."""

    def __init__(self, path):
        self.path, self.offset = path, 0

    def read(self):
        """New whole messages; the last one may be unfinished while SIPp runs and is left for later."""
        if not os.path.exists(self.path):
            return []
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            data = file.read()
        marks = [found.start() for found in re.finditer(rb"(?m)^-{40,} \d{4}-", data)]
        if not marks:
            return []
        messages, second, base = [], "", 0.0
        for start, end in zip(marks, [*marks[1:], len(data)]):
            block = data[start:end].decode(errors="replace")
            head, _, rest = block.partition("\n")
            what, _, text = rest.partition("\n\n")
            mark = MARK.match(head.strip())
            if mark is None or not text.strip():
                continue
            if mark[1] != second:
                second, base = mark[1], time.mktime(time.strptime(mark[1], "%Y-%m-%d %H:%M:%S"))
            messages.append(Message(base + float(f"0.{mark[2]}"), " sent " in what, text.lstrip()))
        self.offset += len(data)
        return messages


class Leg:
    """All that one phone saw of one Call-ID."""

    def __init__(self, phone, messages):
        self.phone, self.messages = phone, messages
        self.cut_off = None  # when the phone lost its connection, and with it everything

    def first(self, sent, method, status=0, cseq=None):
        """When the first such message passed, or None."""
        for message in self.messages:
            if (message.sent == sent and message.method == method and message.status == status
                    and (cseq is None or message.cseq == cseq)):
                return message.at
        return None

    def ladder(self):
        out, start = [], self.messages[0].at
        for message in self.messages:
            out.append(f"{message.at - start:8.3f} {message.gist()}")
        return out


def legs(sipp, phone):
    found = {}
    for path in sipp.logs:
        own = {}
        for message in Log(path).read():
            own.setdefault(message.call_id, []).append(message)
        for call_id, messages in own.items():
            found[call_id] = Leg(phone, messages)
            found[call_id].cut_off = sipp.deaths.get(path)
    return found


class Call:
    """A call attempt: the caller's leg and what its callee saw of it."""

    def __init__(self, leg, kind, site, transport):
        self.leg, self.kind, self.site, self.transport = leg, kind, site, transport
        self.callees = []
        first = leg.messages[0]
        self.call_id, self.caller, self.begun = first.call_id, first.from_user, first.at
        self.rang = leg.first(False, "INVITE", 180, 2)
        self.answered = leg.first(False, "INVITE", 200, 2)
        bye = leg.first(True, "BYE") if kind == "a" else None
        self.bye = bye
        self.over = leg.messages[-1].at
        self.faulty = ""  # what went wrong, and when
        self.faulty_at = None
        self.excused = False
        self.fell_silent = False  # nothing wrong came, only nothing more

    def attach(self, leg):
        self.callees.append(leg)
        if self.rang is None and self.kind == "c":
            self.rang = leg.first(True, "INVITE", 180)
        if self.kind == "b" and self.bye is None:
            self.bye = leg.first(True, "BYE")

    def state(self, at):
        """What it was doing at a moment: new, set-up, ringing, held, ending or over."""
        if at < self.begun:
            return "new"
        if at > self.over and not self.faulty:
            return "over"
        if self.bye is not None and at >= self.bye:
            return "ending"
        if self.answered is not None and at >= self.answered:
            return "held"
        if self.rang is not None and at >= self.rang:
            return "ringing"
        return "set-up"

    def judge(self, now):
        """Compares it with what was to happen. `now`: the end of the run, for calls that never ended."""
        for what, at in self._wanted():
            if at is None:
                self.faulty = what
                break
        refusal = next((m for m in self.leg.messages if not m.sent and m.status >= 300 and m.status not in (401, 407, 487)), None)
        if refusal is not None:
            self.faulty = f"{refusal.status} to {refusal.method}"
            self.faulty_at = refusal.at
        elif self.kind != "c" and any(not m.sent and m.status == 487 for m in self.leg.messages):
            self.faulty = "487 to a call that nobody cancelled"
        elif len(self.callees) > 1:
            self.faulty = "rang twice"
        if self.faulty and self.faulty_at is None:
            self.faulty_at, self.fell_silent = self.over, True
        return not self.faulty

    def _wanted(self):
        leg, callee = self.leg, self.callees[0] if self.callees else None
        see = callee.first if callee else lambda *_: None
        yield "no challenge", leg.first(False, "INVITE", 407)
        yield "callee saw no INVITE", see(False, "INVITE")
        if self.kind == "c":
            yield "not cancelled by the caller", leg.first(True, "CANCEL")
            yield "no 487", leg.first(False, "INVITE", 487)
            yield "callee saw no CANCEL", see(False, "CANCEL")
            yield "callee saw no ACK of its 487", see(False, "ACK")
            return
        yield "no answer", self.answered
        yield "callee saw no ACK", see(False, "ACK")
        if self.kind == "a":
            yield "no second offer", leg.first(True, "INVITE", 0, 3)
            yield "second offer did not reach the callee", self._second(callee)
            yield "no answer to the second offer", leg.first(False, "INVITE", 200, 3)
            yield "no BYE by the caller", leg.first(True, "BYE")
            yield "callee saw no BYE", see(False, "BYE")
            yield "no 200 to the caller's BYE", leg.first(False, "BYE", 200)
        else:
            yield "no BYE by the callee", see(True, "BYE")
            yield "caller saw no BYE", leg.first(False, "BYE")
            yield "no 200 to the callee's BYE", see(False, "BYE", 200)

    @staticmethod
    def _second(callee):
        if callee is None:
            return None
        numbers = sorted({m.cseq for m in callee.messages if not m.sent and m.is_request("INVITE")})
        return None if len(numbers) < 2 else callee.first(False, "INVITE", 0, numbers[1])

    def conflicts(self):
        """Messages to a phone that one owner alone would not have sent."""
        found = []
        for leg in [self.leg, *self.callees]:
            finals, tags, requests = {}, {}, {}
            for message in leg.messages:
                if message.sent:
                    continue
                if message.status >= 200:
                    finals.setdefault((message.cseq, message.method), []).append(message.status)
                if 100 < message.status < 300 and message.method == "INVITE" and message.to_tag:
                    tags.setdefault(message.cseq, set()).add(message.to_tag)
                if message.status == 0 and message.method != "ACK":
                    requests.setdefault((message.cseq, message.method), set()).add(message.branch)
            # A copy that comes after its transaction has ended is told so; who was told 200 before hears nobody else.
            found += [f"{leg.phone}: {sorted(set(s))} to one {key[1]}" for key, s in finals.items()
                      if len(set(s)) > 1 and not (s[0] < 300 and all(later in (s[0], 481) for later in s))]
            found += [f"{leg.phone}: {len(s)} tags to one INVITE" for s in tags.values() if len(s) > 1]
            found += [f"{leg.phone}: one {key[1]} on {len(s)} branches" for key, s in requests.items() if len(s) > 1]
            byes = [key for key in requests if key[1] == "BYE"]
            if len(byes) > 1:
                found.append(f"{leg.phone}: {len(byes)} different BYE")
        if len(self.callees) > 1:
            found.append(f"{self.call_id}: rang {len(self.callees)} times")
        return found


def calls(load):
    """All attempts of a load, with the callee's legs attached, and legs that nobody has called."""
    attempts, by_caller = [], {}
    for sipp, (name, kind, transport, site, _) in zip(load.callers, load.caller_plan()):
        for leg in legs(sipp, name).values():
            if not leg.messages[0].sent:
                continue
            call = Call(leg, kind, site, transport)
            attempts.append(call)
            by_caller.setdefault(call.caller, []).append(call)
    for own in by_caller.values():
        own.sort(key=lambda call: call.begun)
    strays = []
    for sipp in load.callees:
        for leg in legs(sipp, sipp.name).values():
            first = leg.messages[0]
            own = [call for call in by_caller.get(first.from_user, []) if call.begun <= first.at + 0.05]
            if own and first.is_request("INVITE"):
                own[-1].attach(leg)
            else:
                strays.append(leg)
    attempts.sort(key=lambda call: call.begun)
    return attempts, strays


def registrations(load):
    """(when, user, what was wrong or "") of every registration that was tried."""
    found = []
    for sipp in load.registrars:
        for leg in legs(sipp, sipp.name).values():
            if not leg.messages[0].sent:
                continue
            user, begun = leg.messages[0].from_user, leg.messages[0].at
            done = next((m for m in leg.messages if not m.sent and m.status == 200), None)
            refused = next((m for m in leg.messages if not m.sent and m.status >= 300 and m.status != 401 and m.method == "REGISTER"), None)
            wrong = ""
            # To a second copy of 401 SIPp writes new credentials on the old branch; that these are refused is right.
            if refused is not None and done is None:
                wrong = f"{refused.status}"
            elif done is None:
                wrong = "no answer"
            else:
                contacts = re.findall(r"(?im)^contact: *<sip:([^@]*)@([^;>]*)", done.text)
                if contacts != [(user, f"{sipp.address}:{sipp.port}")]:
                    wrong = f"contacts {contacts}"
            found.append((begun, user, wrong))
    return found
