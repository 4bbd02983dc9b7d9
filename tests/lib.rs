//! End-to-end tests of Tandem. `tidy` holds the tree against the rules of the house; `relay` runs media sessions and
//! their anchor against real rtpengines; `system` runs the real binary against real peers (SIPp, baresip, rtpengine,
//! tshark). Start them with `tests/run`, which installs what they need.

use std::path::PathBuf;

/// The repository's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_path_buf()
}
