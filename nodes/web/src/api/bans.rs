//! bannedips: what the balancers drop.

use std::net::IpAddr;

use fabric::letters::control::BanEntry;
use serde_json::{Map, Value, json};

use super::Api;
use super::backend::text;
use super::hal::{Entity, Page, Query};
use super::problem::Problem;
use crate::moment;

/// Length of a ban unless asked otherwise, seconds.
const SECONDS: u32 = 3_600;

impl Api {
    pub(super) async fn list_bans(&self, query: &Query) -> Result<Page, Problem> {
        Ok(query.cut(self.switch.bans().await?.iter().map(entity).collect()))
    }

    pub(super) async fn get_ban(&self, id: &str) -> Result<Option<Entity>, Problem> {
        let Ok(address) = id.parse::<IpAddr>() else { return Ok(None) };
        Ok(self.switch.bans().await?.iter().find(|ban| covers(ban.address, address)).map(entity))
    }

    pub(super) async fn create_ban(&self, fields: Map<String, Value>) -> Result<Entity, Problem> {
        let ip = text(&fields, "ip").unwrap_or_default();
        let address: IpAddr = ip.parse().map_err(|_| Problem::field("ip", "must be an IP address"))?;
        let seconds =
            fields.get("seconds").and_then(Value::as_u64).and_then(|s| u32::try_from(s).ok()).unwrap_or(SECONDS);
        let reason = text(&fields, "reason").unwrap_or_else(|| "operator".to_owned());
        self.switch.ban(address, seconds, reason).await?;
        let made = self.get_ban(&address.to_string()).await?;
        made.ok_or_else(|| Problem::unavailable("the balancers did not take the ban"))
    }

    pub(super) async fn delete_ban(&self, id: &str) -> Result<(), Problem> {
        let address = id.parse().map_err(|_| Problem::not_found("bannedips"))?;
        Ok(self.switch.unban(address).await?)
    }
}

/// Whether a ban of one address holds for another: balancers ban IPv6 hosts by their /64.
fn covers(banned: IpAddr, address: IpAddr) -> bool {
    match (banned, address) {
        (IpAddr::V6(banned), IpAddr::V6(address)) => banned.segments()[..4] == address.segments()[..4],
        _ => banned == address,
    }
}

fn entity(ban: &BanEntry) -> Entity {
    let id = ban.address.to_string();
    let fields = json!({
        "id": id,
        "ip": id,
        "reason": ban.reason,
        "since": moment::text(ban.since_ms),
        "until": moment::text(ban.until_ms),
        "dropped": ban.dropped,
        "origin": ban.origin.0,
    });
    Entity::new(id, fields)
}
