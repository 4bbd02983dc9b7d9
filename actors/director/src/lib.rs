//! The directors: the small group that decides who owns what (DESIGN.md 6, the lease in RELIABILITY.md).

mod council;
mod decide;
mod history;
#[cfg(test)]
mod lab;
mod log;
mod machine;
mod orders;
mod settings;
mod state;
mod voter;
mod watch;

pub use machine::Director;
pub use settings::{MemberSetting, PairSetting, Settings, SiteSetting};
