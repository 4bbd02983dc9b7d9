//! Plans back to TOML: for a plan that was shrunk. What is as it is by default is left out.

use serde::{Serialize, Serializer};
use toml::{Table, Value};

use super::{Links, Must, Plan, Range, Target, Topology, Weather, Workload};

impl Plan {
    /// The plan as a file holds it.
    pub fn to_toml(&self) -> String {
        let Ok(Value::Table(mut table)) = Value::try_from(self) else {
            return String::new();
        };
        table.retain(|_, value| !value.as_array().is_some_and(Vec::is_empty));
        let defaults: [(&str, Value); 5] = [
            ("topology", value(&Topology::default())),
            ("workload", value(&Workload::default())),
            ("weather", value(&Weather::default())),
            ("links", value(&Links::default())),
            ("must", value(&Must::default())),
        ];
        for (name, default) in defaults {
            drop_defaults(&mut table, name, &default);
        }
        for fault in table.get_mut("fault").and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(fault) = fault.as_table_mut() else { continue };
            fault.retain(|name, value| match value {
                Value::Integer(times) => name != "times" || *times != 1,
                Value::Boolean(set) => *set,
                _ => true,
            });
        }
        toml::to_string(&table).unwrap_or_default()
    }
}

fn value(of: &impl Serialize) -> Value {
    Value::try_from(of).unwrap_or_else(|_| Value::Table(Table::new()))
}

fn drop_defaults(plan: &mut Table, name: &str, default: &Value) {
    let Some(part) = plan.get_mut(name).and_then(Value::as_table_mut) else { return };
    part.retain(|key, value| default.get(key) != Some(&*value));
    if part.is_empty() {
        plan.remove(name);
    }
}

impl Serialize for Range {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.from == self.to {
            true => to.serialize_f64(self.from),
            false => [self.from, self.to].serialize(to),
        }
    }
}

impl Target {
    /// As a plan names it.
    pub fn text(self) -> String {
        match self {
            Target::AnyProxy => "any proxy".to_owned(),
            Target::AnyBalancer => "any balancer".to_owned(),
            Target::AnyDirector => "any director".to_owned(),
            Target::AnyNode => "any node".to_owned(),
            Target::AnyChassis => "any chassis".to_owned(),
            Target::Node(node) => format!("node {node}"),
            Target::Chassis(chassis) => format!("chassis {chassis}"),
            Target::Country(country) => format!("country {country}"),
            Target::Active => "active".to_owned(),
            Target::Standby => "standby".to_owned(),
            Target::Leader => "leader".to_owned(),
        }
    }
}
