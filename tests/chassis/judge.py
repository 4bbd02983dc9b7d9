"""The verdict: what the phones saw, the call records, the probes and the relays against what was promised."""

import datetime

import legs

OVER_MS_P99, OVER_MS_MAX = 500, 1000
SLOW_S = 0.1  # a probe that takes longer than this was held up
WINDOW_S = 4.0  # after a fault, in which held up probes count as its take-over
TCP_GRACE_S = 6.0


class Verdict:
    def __init__(self):
        self.rows, self.problems, self.notes, self.takeovers = [], [], [], []
        self.limits = []  # what is promised and known not to hold yet

    def blame(self, text, known=False):
        (self.limits if known else self.problems).append(text)

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


def takeover(probes, at, until):
    """How long after `at` questions were still held up: seconds until the last of them was answered, and how many were
    never answered. (0, 0) when nothing was held up."""
    end, lost = at, 0
    for sent, _, took, _ in probes:
        if sent < at - 0.02 or sent > min(until, at + WINDOW_S):
            continue
        if took is None:
            lost += 1
            end = max(end, sent)
        elif took > SLOW_S:
            end = max(end, min(sent + took, until))
    return end - at, lost


def judge(load, faults, probes, cdrs, relays_left, ended, registered, strict=True):
    """`faults`: list of `Fault` with begun, ended, name, sites_lost. `ended`: when the load was over."""
    verdict = Verdict()
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
    records(verdict, calls, cdrs, faults)
    if conflicts:
        verdict.blame(f"{len(conflicts)} conflicting messages: {sorted(set(conflicts))[:5]}")
    verdict.notes.append(f"calls {len(calls)}, of which faulty {sum(bool(c.faulty) for c in calls)}; "
                         f"conflicting messages {len(conflicts)}; callee legs without a caller {len(strays)}")
    if strays:
        verdict.blame(f"{len(strays)} phones were called by nobody: {strays[0].ladder()[:4]}")
    if relays_left:
        whose = {id_.partition("-")[0]: copies[0] for id_, copies in cdrs.items()}
        told = [(node, id_, whose.get(id_.partition("-")[0], {}).get("call_id", "?")) for node, id_ in relays_left]
        # An offer that was asked for across a cut may have opened a session of which nobody heard.
        unheard = any(fault.divides for fault in faults) and all(call_id == "?" for _, _, call_id in told)
        verdict.blame(f"{len(relays_left)} rtpengine sessions left: {told[:6]}", unheard)
    verdict.notes.append(f"rtpengine sessions left {len(relays_left)}")
    began = {user for _, user, wrong in registrations if not wrong}
    wanted = {user for user in registered["wanted"] if user[0] != "r" or user in began}
    missing = sorted(wanted - set(registered["found"]))
    if missing:
        verdict.blame(f"{len(missing)} registrations lost at the end: {missing[:5]}")
    overs = [t for t in verdict.takeovers]
    if overs:
        p99, most = percentile(overs, 0.99) * 1000, max(overs) * 1000
        if p99 > OVER_MS_P99:
            verdict.blame(f"take-over p99 {p99:.0f} ms, allowed {OVER_MS_P99}")
        if most > OVER_MS_MAX:
            verdict.blame(f"take-over max {most:.0f} ms, allowed {OVER_MS_MAX}")
    return verdict, calls


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
            verdict.blame(f"{fault.name}: {counts[f'{column}_bad']} {what} failed: {reasons(own)}", fault.divides and column == "tried")
    mine = [entry for entry in registrations if at <= entry[0] < after]
    lost = [entry for entry in mine if entry[2]]
    counts["registrations"], counts["registrations_bad"] = len(mine), len(lost)
    if lost:
        verdict.blame(f"{fault.name}: {len(lost)} registrations failed: {lost[:3]}", fault.divides)
    surviving = [address for site, address in enumerate(balancers) if site not in fault.sites_lost or fault.several]
    through = [probe for probe in probes if probe[1] in surviving]
    seconds, unanswered = longest(probes, at, fault.whole) if fault.several else takeover(through, at, after)
    counts["takeover_ms"], counts["probes_lost"] = seconds * 1000, unanswered
    refused = [status for sent, _, took, status in through if at <= sent < after and took is not None and status != "407"]
    if refused:
        verdict.blame(f"{fault.name}: probes were answered {sorted(set(refused))}, {len(refused)} times", fault.divides)
    if fault.moves_pairs:
        verdict.takeovers.append(seconds)
    lost_sites = [probe for probe in probes if probe[1] not in surviving and not fault.several]
    if lost_sites:
        counts["address_ms"] = takeover(lost_sites, at, after)[0] * 1000
        verdict.takeovers.append(counts["address_ms"] / 1000)
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


def records(verdict, calls, cdrs, faults):
    """One record of every call, with the right length."""
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
    verdict.notes.append(f"call records: {expected} expected, {len(missing)} missing, {len(doubled)} doubled, {len(wrong)} of wrong length, "
                         f"{len(unknown)} of unknown calls")
    if missing:
        verdict.blame(f"{len(missing)} call records missing: {missing[:5]}")
    if doubled:
        verdict.blame(f"{len(doubled)} call records doubled: {doubled[:5]}")
    if wrong:
        verdict.blame(f"{len(wrong)} call records of wrong length: {wrong[:5]}")
    if unknown:
        verdict.blame(f"{len(unknown)} call records of calls that nobody made: {sorted(unknown)[:5]}")


def per_node(copies):
    """How often one node has exported a record."""
    nodes = [copy["node"] for copy in copies]
    return max(nodes.count(node) for node in nodes)


def table(verdict):
    head = ("fault", "held", "lost", "ringing", "lost", "attempts", "failed", "excused", "registrations", "failed", "take-over", "address")
    lines = [head]
    for counts in verdict.rows:
        moved = f"{counts['takeover_ms']:.0f} ms" + (f" ({counts['probes_lost']} lost)" if counts["probes_lost"] else "")
        address = f"{counts['address_ms']:.0f} ms" if "address_ms" in counts else ""
        lines.append((counts["fault"], counts["held"], counts["held_bad"], counts["ringing"], counts["ringing_bad"], counts["tried"],
                      counts["tried_bad"], counts["excused"], counts["registrations"], counts["registrations_bad"], moved, address))
    lines = [tuple(map(str, line)) for line in lines]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    out = []
    for number, line in enumerate(lines):
        out.append("  ".join(cell.ljust(width) if column == 0 else cell.rjust(width)
                             for column, (cell, width) in enumerate(zip(line, widths))).rstrip())
        if number == 0:
            out.append("  ".join("-" * width for width in widths))
    overs = verdict.takeovers
    if overs:
        out.append(f"take-over over {len(overs)}: p50 {percentile(overs, 0.5) * 1000:.0f} ms, p99 {percentile(overs, 0.99) * 1000:.0f} ms, "
                   f"max {max(overs) * 1000:.0f} ms (allowed: p99 {OVER_MS_P99}, max {OVER_MS_MAX})")
    out += verdict.notes
    return "\n".join(out)
