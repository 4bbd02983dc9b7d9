"""The verdict: what the phones saw, the call records, the probes and the relays against what was promised."""

import bisect
import datetime

import legs

OVER_MS_P99, OVER_MS_MAX = 500, 1000
SLOW_S = 0.1  # a probe that takes longer than this was held up
WINDOW_S = 4.0  # after a fault, in which held up probes count as its take-over
TCP_GRACE_S = 6.0


class Found:
    """What there is beside SIPp's logs when the load is over.

    `cdrs`: {id: [record, ...]} of all nodes. `relays_left`: [(node, session)]. `ended`: when it was over. `registered`: users
    `wanted` and `found`. `stale`: letters and records of former owners that nodes (took, refused), or `None`. `central`:
    {id: (Call-ID, milliseconds)} of the central store, or `None`.
    """

    def __init__(self, probes, cdrs, relays_left, ended, registered, stale=None, central=None):
        self.probes, self.cdrs, self.relays_left, self.ended, self.registered = probes, cdrs, relays_left, ended, registered
        self.stale, self.central = stale, central


class Verdict:
    def __init__(self):
        self.rows, self.problems, self.notes, self.takeovers = [], [], [], []
        self.promises = []  # what was promised, what was allowed, what was found

    def blame(self, text):
        self.problems.append(text)

    @property
    def good(self):
        return not self.problems


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else None


def read_probes(path):
    """(sent, balancer, seconds or None, status)."""
    found = []
    with open(path) as file:
        for line in file:
            words = line.split()
            if len(words) == 4:
                found.append((float(words[0]), words[1], None if words[2] == "-" else float(words[2]), words[3]))
    return sorted(found)


def longest(probes, at, until):
    """Of several outages one after the other: the longest wait for an answer, and how many questions were never answered."""
    mine = [took for sent, _, took, _ in probes if at <= sent < until]
    return max((took for took in mine if took is not None), default=0.0), sum(took is None for took in mine)


def takeover(probes, at, until, moved=False):
    """How long after `at` questions were still held up: seconds until the last of them was answered, and how many were
    never answered. (0, 0) when nothing was held up. With `moved` the address went to another machine: what the first one has
    taken with it a phone asks again (RFC 3261 17.1.1.2), and it was silent until a later question was answered at once."""
    end, lost = at, 0
    prompt = sorted((sent, sent + took) for sent, _, took, _ in probes if took is not None and took <= SLOW_S) if moved else []
    for sent, _, took, _ in probes:
        if sent < at - 0.02 or sent > min(until, at + WINDOW_S):
            continue
        if took is None:
            lost += 1
            end = max(end, sent)
        elif took > SLOW_S:
            later = bisect.bisect_right(prompt, (sent, until))
            again = prompt[later][1] if later < len(prompt) else until
            end = max(end, min(sent + took, until, again if moved else until))
    return end - at, lost


def judge(load, faults, found):
    """`faults`: list of `Fault` with begun, ended, name, sites_lost."""
    verdict = Verdict()
    probes, ended = found.probes, found.ended
    calls, strays = legs.calls(load)
    registrations = legs.registrations(load)
    for call in calls:
        call.judge(ended)
        if call.faulty and call.leg.cut_off is not None:
            excuse(call, faults)
        if call.fell_silent and not call.excused:
            blame_fault(call, faults, load.shape)
    conflicts = [text for call in calls for text in call.conflicts()]
    borders = [fault.begun for fault in faults] + [ended + 1]
    for fault, after in zip(faults, borders[1:]):
        verdict.rows.append(row(verdict, fault, after, calls, registrations, probes, load.balancers))
    quiet = [call for call in calls if call.faulty and (not faults or call.faulty_at < faults[0].begun)]
    if quiet:
        verdict.blame(f"{len(quiet)} calls failed before any fault: {reasons(quiet)}")
    counts = records(verdict, calls, found)
    if conflicts:
        verdict.blame(f"{len(conflicts)} conflicting messages: {sorted(set(conflicts))[:5]}")
    verdict.notes.append(f"calls {len(calls)}, of which faulty {sum(bool(c.faulty) for c in calls)}; "
                         f"conflicting messages {len(conflicts)}; callee legs without a caller {len(strays)}")
    if strays:
        verdict.blame(f"{len(strays)} phones were called by nobody: {strays[0].ladder()[:4]}")
    if found.relays_left:
        whose = {id_.partition("-")[0]: copies[0] for id_, copies in found.cdrs.items()}
        told = [(node, id_, whose.get(id_.partition("-")[0], {}).get("call_id", "?")) for node, id_ in found.relays_left]
        verdict.blame(f"{len(found.relays_left)} rtpengine sessions left: {told[:6]}")
    began = {user for _, user, wrong in registrations if not wrong}
    wanted = {user for user in found.registered["wanted"] if user[0] != "r" or user in began}
    missing = sorted(wanted - set(found.registered["found"]))
    if missing:
        verdict.blame(f"{len(missing)} registrations lost at the end: {missing[:5]}")
    taken, refused = found.stale or (0, 0)
    if taken:
        verdict.blame(f"{taken} letters or records of a former owner were taken")
    overs = verdict.takeovers
    if overs:
        p99, most = percentile(overs, 0.99) * 1000, max(overs) * 1000
        if p99 > OVER_MS_P99:
            verdict.blame(f"take-over p99 {p99:.0f} ms, allowed {OVER_MS_P99}")
        if most > OVER_MS_MAX:
            verdict.blame(f"take-over max {most:.0f} ms, allowed {OVER_MS_MAX}")
    promise(verdict, len(missing), taken + len(conflicts), refused, len(found.relays_left), counts)
    return verdict, calls


def promise(verdict, unregistered, stale, refused, relays_left, counts):
    """The table of the whole: what was promised, how much may fail, and what was found."""
    total = lambda name: sum(row[name] for row in verdict.rows)
    right = lambda name: f"{total(name) - total(name + '_bad')} of {total(name)}"
    say = lambda what, allowed, found: verdict.promises.append((what, allowed, str(found)))
    say("held calls that went on and were ended correctly by BYE of either side", "all", right("held"))
    say("ringing calls that were answered or cancelled correctly", "all", right("ringing"))
    say("attempts failed by the switch", "0", f"{total('tried_bad')} of {total('tried')}")
    say("registrations lost", "0", f"{total('registrations_bad') + unregistered} of {total('registrations')}")
    say("call records missing / doubled / wrong by more than 1 s", "0 / 0 / 0",
        f"{counts['missing']} / {counts['doubled']} / {counts['wrong']} of {counts['expected']}")
    if "central" in counts:
        say("call records of the central store missing / doubled / others", "0 / 0 / 0", counts["central"])
    ms = [f"{percentile(verdict.takeovers, share) * 1000:.0f}" for share in (0.5, 0.99, 1)] if verdict.takeovers else ["-"] * 3
    say(f"take-over p50 / p99 / max of {len(verdict.takeovers)}, ms", f"- / {OVER_MS_P99} / {OVER_MS_MAX}", " / ".join(ms))
    say("accepted effects of an old epoch", "0", f"{stale} ({refused} refused)")
    say("rtpengine sessions left", "0", relays_left)


def excuse(call, faults):
    """Whose connection died with its balancer, or when its address went home, may have to try again."""
    for fault in faults:
        if call.site in fault.sites_lost and fault.begun <= call.leg.cut_off <= fault.whole + TCP_GRACE_S:
            call.excused, call.faulty_at = True, max(fault.begun, call.begun)


def blame_fault(call, faults, shape):
    """Who heard nothing more was hit by the first fault before its next message was due."""
    state = call.state(call.over)
    patience = {"held": shape.talk_s, "ringing": shape.ring_s}.get(state, 32) + 5
    hit = next((fault for fault in faults if call.over - 0.1 <= fault.begun <= call.over + patience), None)
    if hit is not None:
        call.faulty_at = hit.begun


def row(verdict, fault, after, calls, registrations, probes, balancers):
    """One line of the table."""
    at = fault.begun
    counts = dict(fault=fault.name, held=0, held_bad=0, ringing=0, ringing_bad=0, tried=0, tried_bad=0, excused=0)
    bad_calls = []
    for call in calls:
        state = call.state(at)
        if state == "over" or call.begun >= after:
            continue
        bad = bool(call.faulty) and at <= call.faulty_at < after
        if bad and call.excused:
            counts["excused"] += 1
            bad = False
        column = {"held": "held", "ending": "held", "ringing": "ringing"}.get(state, "tried")
        counts[column] += 1
        counts[f"{column}_bad"] += bad
        if bad:
            bad_calls.append((state, call))
    for column, what in (("held", "held calls"), ("ringing", "ringing calls"), ("tried", "attempts")):
        if counts[f"{column}_bad"]:
            own = [call for state, call in bad_calls if {"held": "held", "ending": "held", "ringing": "ringing"}.get(state, "tried") == column]
            verdict.blame(f"{fault.name}: {counts[f'{column}_bad']} {what} failed: {reasons(own)}")
    mine = [entry for entry in registrations if at <= entry[0] < after]
    lost = [entry for entry in mine if entry[2]]
    counts["registrations"], counts["registrations_bad"] = len(mine), len(lost)
    if lost:
        verdict.blame(f"{fault.name}: {len(lost)} registrations failed: {lost[:3]}")
    surviving = [address for site, address in enumerate(balancers) if site not in fault.sites_lost or fault.several]
    through = [probe for probe in probes if probe[1] in surviving]
    seconds, unanswered = longest(probes, at, fault.whole) if fault.several else takeover(through, at, after)
    counts["takeover_ms"], counts["probes_lost"] = seconds * 1000, unanswered
    refused = [status for sent, _, took, status in through if at <= sent < after and took is not None and status != "407"]
    if refused:
        verdict.blame(f"{fault.name}: probes were answered {sorted(set(refused))}, {len(refused)} times")
    if fault.moves_pairs:
        verdict.takeovers.append(seconds)
    lost_sites = [probe for probe in probes if probe[1] not in surviving and not fault.several]
    if lost_sites:
        counts["address_ms"] = takeover(lost_sites, at, after, moved=True)[0] * 1000
        verdict.takeovers.append(counts["address_ms"] / 1000)
    for wrong in fault.wrong:
        verdict.blame(f"{fault.name}: {wrong}")
    if fault.inert:
        verdict.blame(f"{fault.name}: the fault had no effect: {fault.inert}")
    return counts


def reasons(calls):
    counts = {}
    for call in calls:
        key = (call.faulty, call.kind)
        counts.setdefault(key, []).append(call)
    return "; ".join(f"{len(own)} x {what} (kind {kind}, e.g. {own[0].call_id})" for (what, kind), own in
                     sorted(counts.items(), key=lambda item: -len(item[1]))[:6])


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if text else None


def records(verdict, calls, found):
    """One record of every call, with the right length; how many there are of what."""
    cdrs = found.cdrs
    by_call = {}
    for id_, copies in cdrs.items():
        by_call.setdefault(copies[0]["call_id"], []).append((id_, copies))
    missing, doubled, wrong, expected = [], [], [], 0
    for call in calls:
        was_answered = call.answered is not None
        if not was_answered and (call.rang is None or call.faulty):
            continue  # a failed attempt may or may not have got so far as to be recorded
        if call.excused:
            continue
        expected += 1
        own = by_call.get(call.call_id, [])
        if not own:
            missing.append(call.call_id)
            continue
        if len(own) > 1:
            doubled.append(call.call_id)
        copies = own[0][1]
        told = {(copy["duration_ms"], copy["call_status"]) for copy in copies}
        if len(told) > 1 or per_node(copies) > 1:
            doubled.append(call.call_id)
        record = copies[0]
        if was_answered and call.bye is not None and not call.faulty:
            # The phones need not agree: an answer may be on its way for long while the switch is cut apart.
            said = next((leg.first(True, "INVITE", 200) for leg in call.callees), None) or call.answered
            least, most = call.bye - call.answered - 1.0, call.over - said + 1.0
            if not least <= (record["duration_ms"] or 0) / 1000 <= most:
                wrong.append((call.call_id, record["duration_ms"], round(call.bye - call.answered, 3)))
            elif record["call_status"] != "ok":
                wrong.append((call.call_id, record["call_status"]))
    unknown = set(by_call) - {call.call_id for call in calls}
    unknown = {call_id for call_id in unknown if not call_id.startswith("probe")}
    counts = dict(expected=expected, missing=len(missing), doubled=len(doubled), wrong=len(wrong))
    if missing:
        verdict.blame(f"{len(missing)} call records missing: {missing[:5]}")
    if doubled:
        verdict.blame(f"{len(doubled)} call records doubled: {doubled[:5]}")
    if wrong:
        verdict.blame(f"{len(wrong)} call records of wrong length: {wrong[:5]}")
    if unknown:
        verdict.blame(f"{len(unknown)} call records of calls that nobody made: {sorted(unknown)[:5]}")
    if found.central is not None:
        counts["central"] = central(verdict, found)
    return counts


def central(verdict, found):
    """The central store holds what the nodes have written, each call once and with the same length."""
    absent = sorted(set(found.cdrs) - set(found.central))
    strange = sorted(set(found.central) - set(found.cdrs))
    call_ids = [call_id for call_id, _ in found.central.values()]
    doubled = len(call_ids) - len(set(call_ids))
    other = [id_ for id_, (_, ms) in found.central.items() if id_ in found.cdrs and ms != (found.cdrs[id_][0]["duration_ms"] or 0)]
    for what, own in (("are not in the central store", absent), ("stand there and nowhere else", strange), ("have another length there", other)):
        if own:
            verdict.blame(f"{len(own)} call records {what}: {own[:5]}")
    if doubled:
        verdict.blame(f"{doubled} calls stand in the central store twice")
    return f"{len(absent)} / {doubled} / {len(strange) + len(other)} of {len(found.central)}"


def per_node(copies):
    """How often one node has exported a record."""
    nodes = [copy["node"] for copy in copies]
    return max(nodes.count(node) for node in nodes)


def columns(lines, left):
    """Lines under a heading, in columns."""
    lines = [tuple(map(str, line)) for line in lines]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    out = []
    for number, line in enumerate(lines):
        cells = zip(line, widths)
        out.append("  ".join(cell.ljust(width) if column in left else cell.rjust(width)
                             for column, (cell, width) in enumerate(cells)).rstrip())
        if number == 0:
            out.append("  ".join("-" * width for width in widths))
    return out


def table(verdict):
    head = ("fault", "held", "lost", "ringing", "lost", "attempts", "failed", "excused", "registrations", "failed", "take-over", "address")
    lines = [head]
    for counts in verdict.rows:
        moved = f"{counts['takeover_ms']:.0f} ms" + (f" ({counts['probes_lost']} lost)" if counts["probes_lost"] else "")
        address = f"{counts['address_ms']:.0f} ms" if "address_ms" in counts else ""
        lines.append((counts["fault"], counts["held"], counts["held_bad"], counts["ringing"], counts["ringing_bad"], counts["tried"],
                      counts["tried_bad"], counts["excused"], counts["registrations"], counts["registrations_bad"], moved, address))
    out = columns(lines, left=(0,))
    out += ["", *columns([("promise", "allowed", "found"), *verdict.promises], left=(0,)), ""]
    out += verdict.notes
    return "\n".join(out)
