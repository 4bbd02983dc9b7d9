//! What the letters carry, one file per conversation.

pub mod cluster;
pub mod control;
pub mod flow;
pub mod location;
pub mod media;
pub mod names;
pub mod record;
pub mod subscriber;
