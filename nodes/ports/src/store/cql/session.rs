//! The connection to the central store: migrations, and every statement prepared with its consistency.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use fabric::NodeId;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session as Driver;
use scylla::client::session_builder::SessionBuilder;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::response::query_result::QueryResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::{Consistency, SerialConsistency};
use scylla::value::CqlValue;

use super::Settings;

pub(super) struct Session {
    driver: Driver,
    pub statements: Statements,
    /// Identity of the store.
    pub cluster: Vec<u8>,
}

/// The statements; in brackets what a lost answer means for those that are not idempotent.
pub(super) struct Statements {
    /// LOCAL_QUORUM and SERIAL (or LOCAL_SERIAL): the one place where two writers must not both win. [asked again: by `change_serial`]
    pub propose: PreparedStatement,
    /// LOCAL_ONE: the look every second; a change that this replica lacks is there a second later.
    pub changes: PreparedStatement,
    /// LOCAL_QUORUM: before a change is made, so that it is checked against the newest state.
    pub changes_quorum: PreparedStatement,
    /// SERIAL: after a lost or refused proposal, what it came to.
    pub changes_serial: PreparedStatement,
    /// LOCAL_QUORUM: bodies are written before their change and read after it.
    pub write_part: PreparedStatement,
    pub read_parts: PreparedStatement,
    /// LOCAL_QUORUM: with what was laid down at EACH_QUORUM it meets in every data centre.
    pub head: PreparedStatement,
    pub domains: PreparedStatement,
    pub customers: PreparedStatement,
    pub subscribers: PreparedStatement,
    /// EACH_QUORUM: `head` must not be anywhere before the rows are. In the background, and the changes are kept till then.
    pub write_head: PreparedStatement,
    pub write_domain: PreparedStatement,
    pub write_customer: PreparedStatement,
    pub write_subscriber: PreparedStatement,
    pub delete_domain: PreparedStatement,
    pub delete_customer: PreparedStatement,
    pub delete_subscriber: PreparedStatement,
    /// LOCAL_QUORUM both, so that a cold start sees the last state even with a replica lost.
    pub write_bindings: PreparedStatement,
    pub read_bindings: PreparedStatement,
    /// LOCAL_QUORUM: it is money.
    pub write_cdr: PreparedStatement,
}

impl Session {
    /// Connects, brings the schema up to date and prepares. Errors: what failed, in a sentence.
    pub async fn connect(settings: &Settings, node: NodeId) -> Result<Session, String> {
        let mut policy = DefaultPolicy::builder();
        if let Some(datacenter) = settings.datacenter() {
            policy = policy.prefer_datacenter(datacenter.clone());
        }
        let profile = ExecutionProfile::builder()
            .request_timeout(Some(settings.timeout()))
            .consistency(Consistency::LocalQuorum)
            .load_balancing_policy(policy.build())
            .build();
        let mut builder = SessionBuilder::new()
            .known_nodes(&settings.contact_points)
            .connection_timeout(settings.timeout())
            .keepalive_interval(KEEPALIVE)
            .keepalive_timeout(settings.timeout())
            .fetch_schema_metadata(false)
            .default_execution_profile_handle(profile.into_handle());
        if let (Some(user), Some(password)) = (&settings.user, &settings.password) {
            builder = builder.user(user, password);
        }
        let driver = builder.build().await.map_err(|error| error.to_string())?;
        if settings.migrate {
            migrate(&driver, settings, node).await?;
        }
        driver.use_keyspace(&settings.keyspace, false).await.map_err(|error| error.to_string())?;
        let statements = Statements::prepare(&driver, settings).await.map_err(|error| error.to_string())?;
        let cluster = identity(&driver).await?;
        Ok(Session { driver, statements, cluster })
    }

    /// Executes a statement and gives its rows, if it has any.
    pub async fn execute(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<QueryResult, String> {
        self.driver.execute_unpaged(statement, values).await.map_err(|error| error.to_string())
    }

    pub fn driver(&self) -> &Driver {
        &self.driver
    }
}

impl Statements {
    async fn prepare(driver: &Driver, settings: &Settings) -> Result<Statements, scylla::errors::PrepareError> {
        let prepare = async |text: &str, consistency: Consistency, idempotent: bool| {
            let mut statement = driver.prepare(text).await?;
            statement.set_consistency(consistency);
            statement.set_is_idempotent(idempotent);
            Ok::<_, scylla::errors::PrepareError>(statement)
        };
        let serial = match settings.provision_everywhere {
            true => SerialConsistency::Serial,
            false => SerialConsistency::LocalSerial,
        };
        use Consistency::{EachQuorum, LocalOne, LocalQuorum};
        let days = |days: u32| days.min(DAYS_MAX) * 86_400;
        let (changes_s, cdrs_s) = (days(settings.changes_days), days(settings.cdr_days));
        let propose = format!(
            "INSERT INTO changes (bucket, seq, id, node, at_ms, parts, body) VALUES (?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS \
             USING TTL {changes_s}"
        );
        let mut propose = prepare(&propose, LocalQuorum, false).await?;
        propose.set_serial_consistency(Some(serial));
        let changes = "SELECT seq, id, parts, body FROM changes WHERE bucket = ? AND seq > ? LIMIT 100";
        let changes = prepare(changes, LocalOne, true).await?;
        let mut changes_quorum = changes.clone();
        changes_quorum.set_consistency(LocalQuorum);
        let mut changes_serial = changes.clone();
        changes_serial.set_consistency(match settings.provision_everywhere {
            true => Consistency::Serial,
            false => Consistency::LocalSerial,
        });
        let write_part = format!("INSERT INTO change_parts (id, part, body) VALUES (?, ?, ?) USING TTL {changes_s}");
        let write_cdr = format!(
            "INSERT INTO cdrs (day, bucket, record, call_id, source_user_id, source_customer_id, source_user, source_cli, \
             destination_user_id, destination_customer_id, destination_user, call_status, init_ms, duration_ms, cdr) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TTL {cdrs_s} AND TIMESTAMP ?"
        );
        let table = async |text: &str| prepare(text, LocalQuorum, true).await;
        let lay = async |text: &str| prepare(text, EachQuorum, true).await;
        Ok(Statements {
            propose,
            changes,
            changes_quorum,
            changes_serial,
            write_part: table(&write_part).await?,
            read_parts: table("SELECT part, body FROM change_parts WHERE id = ?").await?,
            head: table("SELECT seq, ids FROM head WHERE name = 'head'").await?,
            domains: table("SELECT id, domain, reseller_id, preferences FROM domains").await?,
            customers: table(
                "SELECT id, contact_id, status, type, external_id, create_ms, modify_ms FROM customers",
            )
            .await?,
            subscribers: table(
                "SELECT id, uuid, domain_id, customer_id, username, ha1_md5, ha1_sha256, status, lock, numbers, preferences, \
                 webusername, external_id, display_name, email, administrative, create_ms, modify_ms FROM subscribers",
            )
            .await?,
            write_head: lay("INSERT INTO head (name, seq, ids) VALUES ('head', ?, ?) USING TIMESTAMP ?").await?,
            write_domain: lay(
                "INSERT INTO domains (id, domain, reseller_id, preferences) VALUES (?, ?, ?, ?) USING TIMESTAMP ?",
            )
            .await?,
            write_customer: lay(
                "INSERT INTO customers (id, contact_id, status, type, external_id, create_ms, modify_ms) \
                 VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?",
            )
            .await?,
            write_subscriber: lay(
                "INSERT INTO subscribers (id, uuid, domain_id, customer_id, username, ha1_md5, ha1_sha256, status, lock, \
                 numbers, preferences, webusername, external_id, display_name, email, administrative, create_ms, modify_ms) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?",
            )
            .await?,
            delete_domain: lay("DELETE FROM domains USING TIMESTAMP ? WHERE id = ?").await?,
            delete_customer: lay("DELETE FROM customers USING TIMESTAMP ? WHERE id = ?").await?,
            delete_subscriber: lay("DELETE FROM subscribers USING TIMESTAMP ? WHERE id = ?").await?,
            write_bindings: table(
                "INSERT INTO bindings (bucket, aor, bindings) VALUES (?, ?, ?) USING TTL ? AND TIMESTAMP ?",
            )
            .await?,
            read_bindings: table("SELECT aor, bindings, writetime(bindings) FROM bindings WHERE bucket = ?").await?,
            write_cdr: table(&write_cdr).await?,
        })
    }
}

/// Makes the keyspace, and applies what this build has and the store has not.
async fn migrate(driver: &Driver, settings: &Settings, node: NodeId) -> Result<(), String> {
    let text = |error: scylla::errors::ExecutionError| format!("migration: {error}");
    let keyspace = &settings.keyspace;
    let find = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?";
    if rows(driver.query_unpaged(find, (keyspace,)).await.map_err(text)?)? == 0 {
        turn(node).await;
        let copies: Vec<String> =
            settings.replication.iter().map(|(name, count)| format!(", '{name}': {count}")).collect();
        let make = format!(
            "CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {{'class': 'NetworkTopologyStrategy'{}}}",
            copies.concat()
        );
        schema(driver, make).await?;
    }
    driver.use_keyspace(keyspace, false).await.map_err(|error| error.to_string())?;
    let find = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ? AND table_name = 'migrations'";
    if rows(driver.query_unpaged(find, (keyspace,)).await.map_err(text)?)? == 0 {
        turn(node).await;
        let make = "CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, number int, node int)";
        schema(driver, make.to_owned()).await?;
    }
    for (place, script) in MIGRATIONS.iter().enumerate() {
        let number = place as i32 + 1;
        let done = "SELECT number FROM migrations WHERE name = 'done' AND number >= ? ALLOW FILTERING";
        if rows(driver.query_unpaged(done, (number,)).await.map_err(text)?)? > 0 {
            continue;
        }
        // One node at a time: schema changes made at once on two coordinators may part. A node that failed goes on.
        let lock = format!("INSERT INTO migrations (name, node) VALUES ('lock', ?) IF NOT EXISTS USING TTL {LOCK_S}");
        let locked = driver.query_unpaged(lock, (i32::from(node.0),)).await.map_err(text)?;
        if !applied(locked)? {
            let holder = "SELECT node FROM migrations WHERE name = 'lock' AND node = ? ALLOW FILTERING";
            if rows(driver.query_unpaged(holder, (i32::from(node.0),)).await.map_err(text)?)? == 0 {
                return Err("another node migrates".to_owned());
            }
        }
        for statement in statements_of(script) {
            schema(driver, statement).await?;
        }
        driver.await_schema_agreement().await.map_err(|error| error.to_string())?;
        let done = "INSERT INTO migrations (name, number, node) VALUES ('done', ?, ?)";
        driver.query_unpaged(done, (number, i32::from(node.0))).await.map_err(text)?;
        let unlock = "DELETE FROM migrations WHERE name = 'lock' IF EXISTS";
        driver.query_unpaged(unlock, ()).await.map_err(text)?;
    }
    Ok(())
}

/// Changes the schema: all nodes of the store must agree, which takes its time.
async fn schema(driver: &Driver, text: String) -> Result<(), String> {
    let mut statement = scylla::statement::Statement::new(text);
    statement.set_request_timeout(Some(SCHEMA_TIMEOUT));
    statement.set_is_idempotent(true);
    driver.query_unpaged(statement, ()).await.map(drop).map_err(|error| format!("migration: {error}"))
}

/// The store's identity; the first node that comes gives it one.
async fn identity(driver: &Driver) -> Result<Vec<u8>, String> {
    let text = |error: scylla::errors::ExecutionError| error.to_string();
    let find = "SELECT id FROM cluster WHERE name = 'id'";
    loop {
        let found =
            driver.query_unpaged(find, ()).await.map_err(text)?.into_rows_result().map_err(|e| e.to_string())?;
        if let Some((id,)) = found.maybe_first_row::<(Vec<u8>,)>().map_err(|error| error.to_string())? {
            return Ok(id);
        }
        let make = "INSERT INTO cluster (name, id) VALUES ('id', ?) IF NOT EXISTS";
        driver.query_unpaged(make, (random().map_err(|error| error.to_string())?,)).await.map_err(text)?;
    }
}

/// Sixteen bytes that nobody else has.
pub(super) fn random() -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Nodes that start together try one after the other, so that mostly the first one makes what is missing.
async fn turn(node: NodeId) {
    tokio::time::sleep(TURN * u32::from(node.0 % TURNS)).await;
}

fn rows(result: QueryResult) -> Result<usize, String> {
    Ok(result.into_rows_result().map_err(|error| error.to_string())?.rows_num())
}

/// Whether a conditional statement was carried out: its first column.
pub(super) fn applied(result: QueryResult) -> Result<bool, String> {
    let rows = result.into_rows_result().map_err(|error| error.to_string())?;
    let row = rows.first_row::<scylla::value::Row>().map_err(|error| error.to_string())?;
    Ok(matches!(row.columns.first(), Some(Some(CqlValue::Boolean(true)))))
}

/// Statements of a script, comments left out.
fn statements_of(script: &str) -> impl Iterator<Item = String> {
    let lines = script.lines().filter(|line| !line.trim_start().starts_with("--"));
    let text = lines.collect::<Vec<_>>().join("\n");
    let statements: Vec<String> =
        text.split(';').map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect();
    statements.into_iter()
}

/// Runs `each` over all `items`, some at once; stops at the first failure.
pub(super) async fn all<T, F>(
    items: impl IntoIterator<Item = T>,
    parallel_max: usize,
    each: impl Fn(T) -> F,
) -> Result<(), String>
where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let mut running = tokio::task::JoinSet::new();
    for item in items {
        while running.len() >= parallel_max.max(1) {
            running.join_next().await.map_or(Ok(Ok(())), |done| done).map_err(|error| error.to_string())??;
        }
        running.spawn(each(item));
    }
    while let Some(done) = running.join_next().await {
        done.map_err(|error| error.to_string())??;
    }
    Ok(())
}

/// A session that tasks share.
pub(super) type Shared = Arc<Session>;

/// The scripts of `deploy/cql`, by their number.
const MIGRATIONS: &[&str] = &[include_str!("../../../../../deploy/cql/0001-tables.cql")];

/// How long a node that migrates keeps others from it, seconds.
const LOCK_S: u32 = 60;

/// Longest wait for a change of the schema.
const SCHEMA_TIMEOUT: Duration = Duration::from_secs(30);

const KEEPALIVE: Duration = Duration::from_secs(2);
const TURN: Duration = Duration::from_millis(700);
const TURNS: u16 = 16;

/// Longest time to live, days: what both stores take.
const DAYS_MAX: u32 = 7000;

#[cfg(test)]
mod tests;
