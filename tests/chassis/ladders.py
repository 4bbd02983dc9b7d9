"""Phones as ladders, and the SIPp scenarios made of them.

    > INVITE sdp      send; `auth` adds the credentials asked for
    < 407 auth        expect; `?` makes it optional
    wait ring         a pause: a number of milliseconds, or a name that the load fills in
    > 200 sdp         respond to the last request, or to the named one
"""

DOMAIN = "chassis.invalid"

# What a phone does. The letter is that of the users that are called so. What a datagram may lose without being sent again
# (180, 200 to CANCEL) is not waited for.
CALLERS = {
    "a": "> INVITE sdp\n< 100?\n< 407 auth\n> ACK\n> INVITE sdp auth\n< 100?\n< 180?\n< 200\n> ACK\nwait half\n"
         "> INVITE sdp\n< 100?\n< 200\n> ACK\nwait half\n> BYE\n< 200",
    "b": "> INVITE sdp\n< 100?\n< 407 auth\n> ACK\n> INVITE sdp auth\n< 100?\n< 180?\n< 200\n> ACK\n< BYE\n> 200",
    "c": "> INVITE sdp\n< 100?\n< 407 auth\n> ACK\n> INVITE sdp auth\n< 100\nwait ring\n> CANCEL\n< 200?\n< 487\n> ACK",
}
CALLEES = {
    "a": "< INVITE\n> 180\nwait ring\n> 200 sdp\n< ACK\n< INVITE\n> 200 sdp\n< ACK\n< BYE\n> 200",
    "b": "< INVITE\n> 180\nwait ring\n> 200 sdp\n< ACK\nwait talk\n> BYE\n< 200",
    "c": "< INVITE\n> 180\n< CANCEL\n> 200\n> 487 INVITE\n< ACK",
}
REGISTER = "> REGISTER\n< 100?\n< 401 auth\n> REGISTER auth\n< 100?\n< 200"

REASONS = {"180": "Ringing", "200": "OK", "487": "Request Terminated"}
SDP = ("v=0\no=phone 5{n} {n} IN IP4 [local_ip]\ns=-\nc=IN IP4 [local_ip]\nt=0 0\nm=audio 20000 RTP/AVP 8 0 101\n"
       "a=rtpmap:8 PCMA/8000\na=rtpmap:0 PCMU/8000\na=rtpmap:101 telephone-event/8000\na=sendrecv\n")


class Scenario:
    def __init__(self, ladder, waits):
        self.steps, self.cseq, self.invite_cseq, self.invite_step = 0, 0, 0, 0
        self.out, self.waits = [], waits
        lines = [line.split() for line in ladder.splitlines()]
        self.is_caller = lines[0][0] == ">"
        self.confirmed = False
        self.last = ""  # request or response that was seen last
        self.captured = False
        for words in lines:
            self.step(words)
            self.steps += 1

    def text(self):
        head = '<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="ladder">\n'
        used = "" if not self.captured else '<Reference variables="via,from,to,cseq,remote,local"/>\n'
        return head + "".join(self.out) + used + "</scenario>\n"

    def step(self, words):
        if words[0] == "wait":
            self.out.append(f'<pause milliseconds="{self.waits.get(words[1], words[1])}"/>\n')
        elif words[0] == "<":
            self.expect(words[1], words[2:])
        elif words[1].isdigit():
            self.respond(words[1], words[2:])
        else:
            self.request(words[1], words[2:])

    def request(self, method, options):
        cseq = self.invite_cseq if method in ("ACK", "CANCEL") else self.cseq + 1
        self.cseq = max(self.cseq, cseq)
        if method == "INVITE":
            self.invite_cseq, self.invite_step = cseq, self.steps
        peer = f"sip:[field0]@{DOMAIN}" if method == "REGISTER" else f"sip:[field2]@{DOMAIN}"
        in_dialog = self.confirmed or not self.is_caller or (method == "ACK" and self.last == "200")
        uri = f"sip:{DOMAIN}" if method == "REGISTER" else "[next_url]" if in_dialog else peer
        tag = "[pid]t[call_number]"
        if self.is_caller:
            tagged = in_dialog or method == "ACK"
            ends = f"From: <sip:[field0]@{DOMAIN}>;tag={tag}\nTo: <{peer}>{'[peer_tag_param]' if tagged else ''}\n"
        else:
            ends = f"From:[$local];tag={tag}\nTo:[$remote]\n"
        of_invite = method == "CANCEL" or (method == "ACK" and self.last != "200")  # RFC 3261 9.1, 17.1.1.3
        branch = f"[branch-{self.steps - self.invite_step}]" if of_invite else "[branch]"
        routes = "[routes]\n" if in_dialog else ""
        message = (f"{method} {uri} SIP/2.0\nVia: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch={branch}\n"
                   f"Max-Forwards: 70\n{routes}{ends}Call-ID: [call_id]\nCSeq: {cseq} {method}\n")
        if method in ("INVITE", "REGISTER"):
            user = "[field0]" if self.is_caller else "callee"
            message += f"Contact: <sip:{user}@[local_ip]:[local_port];transport=[transport]>\n"
        if method == "REGISTER":
            message += "Expires: [expires]\n"
        if "auth" in options:
            message += "[field1]\n"
        self.send(message, options, method != "ACK")
        if method == "ACK" and self.last == "200":
            self.confirmed = True

    def respond(self, status, options):
        to_invite = "INVITE" in options or self.last == "INVITE"
        tag = ";tag=[pid]t[call_number]"
        if to_invite:
            head = f"Via:[$via]\nFrom:[$from]\nTo:[$to]{'' if self.confirmed else tag}\n[last_Call-ID:]\nCSeq:[$cseq]\n"
        else:
            head = f"[last_Via:]\n[last_From:]\n[last_To:]{tag if self.last == 'CANCEL' else ''}\n[last_Call-ID:]\n[last_CSeq:]\n"
        contact = "Contact: <sip:callee@[local_ip]:[local_port];transport=[transport]>\n"
        # The first response carries the route set back (RFC 3261 12.1.1).
        record = "[last_Record-Route:]\n" if to_invite and not self.confirmed else ""
        self.send(f"SIP/2.0 {status} {REASONS[status]}\n{record}{head}{contact}", options, to_invite and int(status) >= 200)

    def expect(self, what, options):
        optional = ' optional="true"' if what.endswith("?") else ""
        what = what.rstrip("?")
        if what.isdigit():
            auth = ' auth="true"' if "auth" in options else ""
            rrs = ' rrs="true"' if what == "200" and not self.confirmed else ""
            self.out.append(f'<recv response="{what}"{optional}{auth}{rrs}/>\n')
            if not optional:
                self.last = what
            return
        if what == "INVITE":
            names = [("Via:", "via"), ("From:", "from"), ("To:", "to"), ("CSeq:", "cseq")]
            if not self.confirmed:
                names += [("From:", "remote"), ("To:", "local")]
            self.captured = True
            actions = "".join(f'<ereg regexp=".*" search_in="hdr" header="{header}" check_it="true" assign_to="{name}"/>\n'
                              for header, name in names)
            rrs = "" if self.confirmed else ' rrs="true"'
            self.out.append(f'<recv request="INVITE"{rrs}>\n<action>\n{actions}</action>\n</recv>\n')
        else:
            self.out.append(f'<recv request="{what}"/>\n')
        if what == "ACK":
            self.confirmed = True
        else:
            self.last = what

    def send(self, message, options, repeat):
        if "sdp" in options:
            message += "Content-Type: application/sdp\nContent-Length: [len]\n\n" + SDP.format(n=self.cseq + 1)
        else:
            message += "Content-Length: 0\n\n"
        self.out.append(f'<send{" retrans=" + chr(34) + "500" + chr(34) if repeat else ""}><![CDATA[\n\n{message}\n]]></send>\n')


def scenario(ladder, waits):
    return Scenario(ladder, waits).text()
