//! Commands between nodes.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fabric::NodeId;

use super::rig::{Rig, count};
use crate::links::roles::Roles;
use crate::links::{CommandError, Commands};
use crate::testing::PATIENCE;

/// Answers with who asked and what; `wait` never ends, `large` is more than fits.
struct Echo;

impl Commands for Echo {
    fn run(&self, from: NodeId, roles: Roles, command: Bytes) -> Pin<Box<dyn Future<Output = Bytes> + Send>> {
        Box::pin(async move {
            match &command[..] {
                b"wait" => std::future::pending().await,
                b"large" => vec![0; 600 << 10].into(),
                other => format!("{} {roles}: {}", from.0, String::from_utf8_lossy(other)).into(),
            }
        })
    }
}

const TWO: NodeId = NodeId(2);
const SOON: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_command_is_run_there_and_answered() {
    let rig = Rig::new("command", |_| ()).await;
    let ask = |to, text: &'static str, timeout| rig.one.command(to, Bytes::from_static(text.as_bytes()), timeout);
    assert_eq!(ask(TWO, "early", PATIENCE).await, Err(CommandError::NotServed));
    assert_eq!(ask(NodeId(1), "early", PATIENCE).await, Err(CommandError::NotServed));
    rig.one.serve(Arc::new(Echo));
    rig.two.serve(Arc::new(Echo));
    let all = Roles::all();
    assert_eq!(ask(TWO, "status", PATIENCE).await, Ok(format!("1 {all}: status").into()));
    assert_eq!(ask(NodeId(1), "me", PATIENCE).await, Ok(format!("1 {all}: me").into()));
    let back = rig.two.command(NodeId(1), Bytes::from_static(b"x"), PATIENCE).await;
    assert_eq!(back, Ok(Bytes::from_static(b"2 proxy, director: x")));
    assert_eq!(ask(NodeId(9), "x", PATIENCE).await, Err(CommandError::Unknown));
    assert_eq!(ask(TWO, "wait", SOON).await, Err(CommandError::Timeout));
    assert_eq!(ask(TWO, "large", SOON).await, Err(CommandError::Timeout), "an answer that does not fit");
    let large = Bytes::from(vec![0; 70 << 10]);
    assert_eq!(rig.one.command(TWO, large, PATIENCE).await, Err(CommandError::TooLarge));
    assert_eq!(count(&rig.one, "links_sessions"), 1, "all on one link");
    rig.stop().await;
}

#[tokio::test]
async fn commands_have_a_window_and_end_with_the_connection() {
    let rig = Rig::new("window-of-commands", |settings| settings.resume_ms = 20_000).await;
    rig.two.serve(Arc::new(Echo));
    let waiting: Vec<_> = (0..16)
        .map(|_| {
            let one = rig.one.clone();
            tokio::spawn(async move { one.command(TWO, Bytes::from_static(b"wait"), PATIENCE).await })
        })
        .collect();
    rig.until(|rig| count(&rig.two, "links_commands") == 16, "all run").await;
    let full = rig.one.command(TWO, Bytes::from_static(b"x"), PATIENCE).await;
    assert_eq!(full, Err(CommandError::Busy));
    rig.wire.cut();
    for task in waiting {
        assert_eq!(task.await.expect("a task"), Err(CommandError::Lost));
    }
    rig.until(|rig| rig.one.peers()[0].connected, "connected again").await;
    // There they still run: one more is refused by the other side, and says so.
    assert_eq!(rig.one.command(TWO, Bytes::from_static(b"x"), PATIENCE).await, Err(CommandError::Busy));
    rig.wire.close();
    rig.until(|rig| !rig.one.peers()[0].connected, "gone").await;
    assert_eq!(rig.one.command(TWO, Bytes::from_static(b"x"), PATIENCE).await, Err(CommandError::Down));
    rig.stop().await;
}
