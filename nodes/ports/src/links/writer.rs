//! Writes one connection of a session: everything that waits in one write, urgent parcels first.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fabric::Parcel;
use tokio::io::{AsyncWriteExt, WriteHalf};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsStream;
use tracing::debug;

use super::frame::{put_ack, put_bye, put_ping, put_pong};
use super::peer::Peer;
use super::shared::Shared;

/// Writes until the connection breaks, the task is ended, or goodbye was said.
pub(super) async fn run(peer: Arc<Peer>, shared: Arc<Shared>, mut write: WriteHalf<TlsStream<TcpStream>>) {
    let ticks = |ms: u32| {
        let mut ticks = interval(Duration::from_millis(u64::from(ms)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    };
    let (mut pings, mut breaths) = (ticks(shared.settings.ping_ms), ticks(shared.settings.keep_alive_ms));
    let mut out = Vec::new();
    // Nothing was written since the last breath.
    let mut is_quiet = false;
    loop {
        let (mut is_ping, mut is_breath) = tokio::select! {
            _ = pings.tick() => (true, false),
            _ = breaths.tick() => (false, std::mem::replace(&mut is_quiet, true)),
            () = peer.wake.notified() => (false, false),
        };
        // What has woken us is seldom alone: whoever can run now goes first, and one write takes what all of them send.
        tokio::task::yield_now().await;
        loop {
            out.clear();
            let is_last = fill(&peer, &shared, &mut out, std::mem::take(&mut is_ping), std::mem::take(&mut is_breath));
            if out.is_empty() {
                break;
            }
            is_quiet = false;
            let written = async {
                write.write_all(&out).await?;
                write.flush().await
            };
            if let Err(error) = written.await {
                // The reader notices by itself, or by the silence that follows.
                debug!(node = peer.node.0, %error, "writing to a link");
                return;
            }
            shared.counters.writes.one();
            shared.counters.bytes_out.add(out.len() as u64);
            peer.traffic.bytes_out.fetch_add(out.len() as u64, Ordering::Relaxed);
            if is_last {
                let _ = write.shutdown().await;
                return;
            }
            out.shrink_to(WRITE_BYTES);
        }
    }
}

/// Puts together the next write; `true` when it ends with a goodbye.
fn fill(peer: &Peer, shared: &Shared, out: &mut Vec<u8>, is_ping: bool, is_breath: bool) -> bool {
    let mut desk = peer.desk();
    if is_ping {
        put_ping(out, shared.micros());
    }
    if let Some(number) = desk.pong.take() {
        put_pong(out, number);
    }
    peer.commands().take(out);
    desk.out.take(out, WRITE_BYTES);
    if desk.told != desk.incoming.received || is_breath && out.is_empty() {
        desk.told = desk.incoming.received;
        put_ack(out, desk.told);
    }
    let is_last = desk.closing && desk.out.is_written();
    if is_last {
        put_bye(out);
    }
    is_last
}

/// What a parcel is, for the log.
pub(super) fn describe(parcel: &Parcel) -> String {
    match parcel {
        Parcel::Mail { mail, .. } => format!("{} from {}", mail.letter.kind(), mail.from.kind()),
        Parcel::Receipt(_) => "receipt".to_owned(),
        _ => "replica".to_owned(),
    }
}

/// Bytes of one write, about; a batch more at most.
const WRITE_BYTES: usize = 256 * 1024;
