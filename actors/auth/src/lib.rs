//! Digest authentication: RFC 7616 and RFC 8760 with MD5 and SHA-256, `qop=auth`.
//!
//! Nothing is remembered for a challenge: a nonce carries its issue time and a keyed hash over that time and the
//! Call-ID, so a flood of unauthenticated requests costs no memory. Only an *accepted* nonce is remembered, in a
//! [`NonceCounts`] of a few bytes, so that each (nonce, nc) is taken once. Passwords are never kept: an account holds
//! its [`Ha1`] for both algorithms.
//!
//! A server does three things with a request:
//!
//! 1. `pick(view.headers(Name::Authorization), realm)` finds the credentials for its realm,
//! 2. `Server::check(...)` says [`Outcome::Accepted`], `Stale` or `Refused`,
//! 3. for anything but `Accepted`, one header line for each of `Server::challenge(...)` goes into the 401 or 407.
//!
//! For a user that does not exist, check against [`decoy`] so that the answer takes as long as for one that does.
//! A machine that accepted a nonce must live until [`NonceCounts::remember_until_ms`], or the nonce could be replayed.
//!
//! | module | what |
//! |---|---|
//! | `credentials` | parsing of Authorization and WWW-Authenticate values |
//! | `digest` | HA1, response, constant-time comparison |
//! | `nonce` | stateless nonces |
//! | `count` | nonce counts |
//! | `server` | challenge and verdict |
//! | `client` | answering a challenge |

pub mod client;
pub mod count;
pub mod credentials;
pub mod digest;
pub mod nonce;
pub mod server;

pub use client::{Answering, choose, respond};
pub use count::{Count, NonceCounts};
pub use credentials::{Algorithm, AuthError, Challenge, Credentials, Qop, pick};
pub use digest::{Ha1, decoy, ha1_md5, ha1_sha256};
pub use nonce::{NonceState, Nonces};
pub use server::{Asked, Outcome, Policy, Refusal, Server, Verdict, challenges, verify};
