//! The real switch with peers that nobody here wrote. Each test has a network of its own (`127.P.N.x`, P of this
//! process), so that tests and runs of them may go side by side; each is judged by the exit codes of the peers and by the messages on the wire.

mod api;
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
mod loss;
mod media;
mod mutation;
mod offers;
mod operators;
mod provisioning;
mod records;
mod registrations;
mod sessions;
mod softphones;
mod survival;
mod torture;
mod transports;
