//! Messages that a transaction writes itself: ACK for a refusal, CANCEL, 100 Trying.

use sip::{Builder, Message, Method, Name, Status, View};

/// The ACK for a final response other than 2xx: RFC 3261 17.1.1.3.
pub fn ack_failure(invite: &View<'_>, response: &View<'_>) -> Message {
    let ack = hop_by_hop(invite, Method::Ack);
    ack.header(Name::To, response.header(Name::To).unwrap_or_default()).build()
}

/// The CANCEL for a request that is under way: RFC 3261 9.1; `reason` is a Reason value (RFC 3326).
pub fn cancel(request: &View<'_>, reason: Option<&[u8]>) -> Message {
    let cancel = hop_by_hop(request, Method::Cancel);
    let cancel = cancel.header(Name::To, request.header(Name::To).unwrap_or_default());
    match reason {
        Some(reason) => cancel.header(Name::Reason, reason).build(),
        None => cancel.build(),
    }
}

/// The 100 response: no tag of its own, and the Timestamp comes back (RFC 3261 8.2.6.1).
pub fn trying(request: &View<'_>) -> Message {
    Builder::reply_to(request, Status::TRYING, None).build()
}

/// A request that follows exactly the way of another: same URI, top Via, Route, From, Call-ID and CSeq number.
fn hop_by_hop(request: &View<'_>, method: Method<'_>) -> Builder {
    let number = request.cseq().map(|cseq| cseq.number).unwrap_or_default();
    Builder::request(method, request.uri())
        .header(Name::Via, request.values(Name::Via).next().unwrap_or_default())
        .header(Name::MaxForwards, "70")
        .copy(request, Name::Route)
        .copy(request, Name::From)
        .copy(request, Name::CallId)
        .header(Name::CSeq, format!("{number} {method}"))
}

#[cfg(test)]
mod tests;
