//! Refusals of the API as values: an HTTP status, and a body that names the field.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

/// Why a request was not carried out; the body is `{"code", "message"}` and `"field"` where one is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub status: StatusCode,
    pub message: String,
    pub field: Option<String>,
    /// `Allow` of a 405.
    pub allow: Option<String>,
    /// `Retry-After` of a refusal that passes, seconds.
    pub retry_after_s: Option<u32>,
}

impl Problem {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Problem {
        Problem { status, message: message.into(), field: None, allow: None, retry_after_s: None }
    }

    /// 422: the body can be read, this field of it cannot be accepted.
    pub fn field(field: impl Into<String>, message: impl std::fmt::Display) -> Problem {
        let field = field.into();
        let message = format!("Validation failed. field='{field}': {message}");
        Problem { field: Some(field), ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, message) }
    }

    /// 409: this value is taken, or something still hangs on the entity.
    pub fn conflict(field: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem { field: Some(field.into()), ..Problem::new(StatusCode::CONFLICT, message) }
    }

    /// 404 for an entity of a resource.
    pub fn not_found(what: &str) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, format!("Entity '{what}' not found."))
    }

    /// 400: the body or the query cannot be read.
    pub fn malformed(message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, message)
    }

    /// 503: the switch could not do it now.
    pub fn unavailable(message: impl Into<String>) -> Problem {
        Problem { retry_after_s: Some(1), ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, message) }
    }

    pub fn response(&self) -> Response<Body> {
        let mut body = json!({"code": self.status.as_u16(), "message": self.message});
        if let Some(field) = &self.field {
            body["field"] = json!(field);
        }
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(allow) = self.allow.as_deref().and_then(|allow| HeaderValue::from_str(allow).ok()) {
            headers.insert(header::ALLOW, allow);
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"api\", charset=\"UTF-8\""));
        }
        response
    }
}
