//! Requests outside dialogs that are passed to the callee's phones: MESSAGE (RFC 3428) and OPTIONS (RFC 3261 11).

use sip::{Message, Name, Status};

use crate::call::Call;
use crate::desk::Desk;
use crate::headers;

impl Call {
    /// One of the phones has taken it; the others' answers no longer matter.
    pub(crate) fn on_page_success(&mut self, id: u32, _leg: u16, response: &Message, desk: &mut Desk<'_>) {
        let passing = self.passing(false);
        let view = response.view();
        let status = view.status().unwrap_or(Status::OK);
        self.conclude(id, &fabric::Reject::new(status), desk, |builder| {
            let builder = headers::pass_response(builder, &view, passing).header(Name::Allow, headers::allow(&view));
            builder.body(view.header(Name::ContentType).unwrap_or(b"text/plain"), view.body())
        });
    }
}
