//! The real switch with peers that nobody here wrote. Each test has a network of its own (`127.10.N.x`), so that tests
//! may run side by side; each is judged by the exit codes of the peers and by the messages on the wire.

mod ladder;
mod process;
mod relay;
mod sipp;
mod stage;
mod switch;
mod wire;

mod calls;
mod early;
mod endings;
mod forking;
mod media;
mod mutation;
mod offers;
mod registrations;
mod sessions;
mod survival;
mod transports;
