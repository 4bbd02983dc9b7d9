#!/usr/bin/env python3
"""Asks the switch all the time how it is: an INVITE without credentials every few milliseconds through each balancer.

It is answered with 407 by the actor of the call, behind the same replication as any other answer. A line of output is one
question: when it was sent, through which balancer, how many seconds until the answer (`-` for none within 5 s), its status.

usage: probe.py ADDRESS PERIOD_MS BALANCER ...    (until SIGTERM)
"""

import os
import select
import signal
import socket
import sys
import time

from ladders import DOMAIN

PATIENCE_S = 5.0


def main():
    address, period, balancers = sys.argv[1], float(sys.argv[2]) / 1000, sys.argv[3:]
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    sock.bind((address, 5060))
    sock.setblocking(False)
    waiting, on = {}, True

    def stop(*_):
        nonlocal on
        on = False

    signal.signal(signal.SIGTERM, stop)
    out = sys.stdout
    number, due = 0, time.time()
    end = None
    while on or (waiting and time.time() < end):
        now = time.time()
        if on and now >= due:
            due = max(due + period, now)
            balancer = balancers[number % len(balancers)]
            number += 1
            call = f"probe{os.getpid()}-{number}"
            head = (f"Via: SIP/2.0/UDP {address}:5060;rport;branch=z9hG4bK{call}\r\nMax-Forwards: 70\r\n"
                    f"From: <sip:probe@{DOMAIN}>;tag={call}\r\n")
            tail = f"Call-ID: {call}@{address}\r\nCSeq: 1 %s\r\nContact: <sip:probe@{address}:5060>\r\nContent-Length: 0\r\n\r\n"
            waiting[call] = (now, balancer, head, tail)
            send(sock, f"INVITE sip:a000@{DOMAIN} SIP/2.0\r\n{head}To: <sip:a000@{DOMAIN}>\r\n{tail % 'INVITE'}", balancer)
        if not on and end is None:
            end = now + PATIENCE_S
        select.select([sock], [], [], max(0.0, min(due - time.time(), 0.01)) if on else 0.05)
        while True:
            try:
                reply = sock.recv(65536).decode(errors="replace")
            except (BlockingIOError, ConnectionError):
                break
            now = time.time()
            call = next((line[8:].split("@")[0].strip() for line in reply.split("\r\n") if line.lower().startswith("call-id:")), None)
            status = reply[8:11]
            if not reply.startswith("SIP/2.0") or status[0] == "1" or call not in waiting:
                continue
            sent, balancer, head, tail = waiting.pop(call)
            to = next(line for line in reply.split("\r\n") if line.lower().startswith("to:"))
            send(sock, f"ACK sip:a000@{DOMAIN} SIP/2.0\r\n{head}{to}\r\n{tail % 'ACK'}", balancer)
            out.write(f"{sent:.6f} {balancer} {now - sent:.6f} {status}\n")
        for call in [call for call, (sent, *_) in waiting.items() if sent < now - PATIENCE_S]:
            sent, balancer, *_ = waiting.pop(call)
            out.write(f"{sent:.6f} {balancer} - -\n")
    for sent, balancer, *_ in waiting.values():
        out.write(f"{sent:.6f} {balancer} - -\n")
    out.flush()


def send(sock, text, balancer):
    try:
        sock.sendto(text.encode(), (balancer, 5060))
    except OSError:
        pass  # no neighbour answers: the question counts as unanswered


main()
