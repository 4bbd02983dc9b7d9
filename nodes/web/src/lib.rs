//! The switch's two HTTP listeners.
//!
//! **Northbound** ([`api`]): HTTPS with basic authentication, HAL+JSON, resource and field names as Sipwise's API has
//! them. One table (`api::resources`) drives routing, validation, filters and the OpenAPI description at
//! `/api/openapi.json`, so that they cannot differ. Collections take `page` and `rows` and tell `total_count`; POST answers
//! 201 with `Location`; PUT and PATCH (JSON Patch, RFC 6902) take `Prefer: return=representation` and `If-Match`; refusals are
//! `{"code", "message", "field"}`. Every write leaves a line of target `audit` in the log; five wrong passwords from an
//! address ban it for 300 s, doubling to 3600 s.
//!
//! **Control** ([`control`]): plain HTTP on loopback for `tandem ctl` and Prometheus (`/metrics`); any other address is refused.
//!
//! Passwords of the API stand hashed in the configuration (`hash_password`). A self-signed certificate is made at the
//! first start when none is configured. [`Switch`] is what both need of a running node: the exchange, the store, and the
//! few things that only the node can say or do ([`Node`]).

pub mod api;
pub mod control;
pub mod metrics;
pub mod moment;
pub mod serve;
mod settings;
mod switch;
mod users;

pub use settings::{ApiSettings, ControlSettings};
pub use switch::{Failed, Node, Reloading, Switch};
pub use users::{Users, hash_password};
