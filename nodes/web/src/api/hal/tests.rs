use serde_json::json;

use super::super::resources::resource;
use super::{Entity, Page, Query, collection, decode, encode};

#[test]
fn queries() {
    let domains = resource("domains").expect("a resource");
    let query = Query::parse(domains, "page=2&rows=5000&domain=a%2Ab&", 100).expect("a query");
    assert_eq!((query.page, query.rows, query.filter("domain")), (2, 100, Some("a*b")));
    for bad in ["page=0", "rows=x", "colour=red", "domain=%zz", "page=-1"] {
        assert!(Query::parse(domains, bad, 100).is_err(), "{bad}");
    }
}

#[test]
fn a_page_in_the_middle() {
    let domains = resource("domains").expect("a resource");
    let query = Query::parse(domains, "page=2&rows=1&domain=a*", 100).expect("a query");
    let page = Page { total_count: 3, entities: vec![Entity::new(7, json!({"id": 7, "domain": "a b"}))] };
    let document = collection(domains, &query, &page);
    assert_eq!(document["total_count"], 3);
    assert_eq!(document["_links"]["prev"]["href"], "/api/domains/?page=1&rows=1&domain=a%2A");
    assert_eq!(document["_links"]["next"]["href"], "/api/domains/?page=3&rows=1&domain=a%2A");
    assert_eq!(document["_links"]["ngcp:domains"], json!([{"href": "/api/domains/7"}]));
    assert_eq!(document["_embedded"]["ngcp:domains"][0]["_links"]["self"]["href"], "/api/domains/7");
}

#[test]
fn percent_encoding() {
    assert_eq!(encode("2001:db8::1/ü"), "2001:db8::1%2F%C3%BC");
    assert_eq!(decode("a%20b+c%C3%BC").ok().as_deref(), Some("a b cü"));
    assert!(decode("%ff").is_err());
}
