//! Listings: pages, filters and order over a table, with names checked against a list.

use rusqlite::{Connection, Row, params_from_iter};

use super::ProvisionError;

/// Which page of which items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Page number, from 1.
    pub page: u32,
    /// Items a page, count; at most `ROWS_MAX`.
    pub rows: u32,
    /// Field and whether descending; `None` is by id.
    pub order_by: Option<(String, bool)>,
    /// Field and value that must be equal; a `*` at the value's end matches any rest.
    pub filters: Vec<(String, String)>,
}

impl Default for Query {
    fn default() -> Self {
        Query { page: 1, rows: 10, order_by: None, filters: Vec::new() }
    }
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// Items on all pages.
    pub total_count: u64,
    pub items: Vec<T>,
}

/// Most items a page may hold.
pub const ROWS_MAX: u32 = 10_000;

/// What can be listed: the source of rows and the fields one may filter and sort by.
pub(super) struct Source {
    /// `FROM` clause.
    pub from: &'static str,
    /// Selected columns.
    pub columns: &'static str,
    /// Column of the id.
    pub id: &'static str,
    /// Field names, the column each sorts by, and the condition it filters with.
    pub fields: &'static [(&'static str, &'static str, &'static str)],
}

impl Source {
    /// One page.
    pub fn list<T>(
        &self,
        db: &Connection,
        query: &Query,
        mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Listing<T>, ProvisionError> {
        if query.page == 0 || query.rows == 0 || query.rows > ROWS_MAX {
            let field = if query.page == 0 { "page" } else { "rows" };
            return Err(ProvisionError::invalid(field, format!("page from 1, rows 1 to {ROWS_MAX}")));
        }
        let (condition, values) = self.condition(&query.filters)?;
        let count = format!("SELECT count(*) FROM {}{condition}", self.from);
        let total: i64 = db.prepare_cached(&count)?.query_row(params_from_iter(&values), |row| row.get(0))?;
        let order = self.order(query.order_by.as_ref())?;
        let skip = u64::from(query.page - 1) * u64::from(query.rows);
        let select = format!(
            "SELECT {} FROM {}{condition} ORDER BY {order} LIMIT {} OFFSET {skip}",
            self.columns, self.from, query.rows
        );
        let mut statement = db.prepare_cached(&select)?;
        let items = statement.query_map(params_from_iter(&values), |row| read(row))?.collect::<Result<_, _>>()?;
        Ok(Listing { total_count: total as u64, items })
    }

    /// The item with this id.
    pub fn get<T>(
        &self,
        db: &Connection,
        id: u64,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, ProvisionError> {
        let select = format!("SELECT {} FROM {} WHERE {} = ?", self.columns, self.from, self.id);
        match db.prepare_cached(&select)?.query_row([id as i64], read) {
            Ok(item) => Ok(Some(item)),
            Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn field(&self, name: &str) -> Result<(&'static str, &'static str), ProvisionError> {
        let found = self.fields.iter().find(|(field, ..)| *field == name);
        found.map(|(_, column, condition)| (*column, *condition)).ok_or_else(|| {
            let known: Vec<&str> = self.fields.iter().map(|(field, ..)| *field).collect();
            ProvisionError::invalid(name, format!("is not one of {}", known.join(", ")))
        })
    }

    fn condition<'a>(&self, filters: &'a [(String, String)]) -> Result<(String, Vec<&'a str>), ProvisionError> {
        if filters.len() > FILTERS_MAX {
            return Err(ProvisionError::invalid(&filters[FILTERS_MAX].0, format!("at most {FILTERS_MAX} filters")));
        }
        let mut text = String::new();
        let mut values = Vec::with_capacity(filters.len());
        for (name, value) in filters {
            let (column, condition) = self.field(name)?;
            text += if text.is_empty() { " WHERE " } else { " AND " };
            match value.strip_suffix('*') {
                Some(start) if condition.ends_with(" = ?") => {
                    text += &format!("substr({column}, 1, {}) = ?", start.chars().count());
                    values.push(start);
                }
                _ => {
                    text += condition;
                    values.push(value);
                }
            }
        }
        Ok((text, values))
    }

    fn order(&self, order_by: Option<&(String, bool)>) -> Result<String, ProvisionError> {
        let Some((name, descending)) = order_by else { return Ok(self.id.to_owned()) };
        let (column, _) = self.field(name)?;
        let direction = if *descending { "DESC" } else { "ASC" };
        Ok(format!("{column} {direction}, {} {direction}", self.id))
    }
}

/// Filters that a query may have, count.
const FILTERS_MAX: usize = 20;
