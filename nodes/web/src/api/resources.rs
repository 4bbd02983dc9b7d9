//! The table of resources: names and fields as Sipwise's API has them. Validation, routing, filters and the OpenAPI
//! description are all made from it.

use super::schema::{Field, Kind, optional, read_only, required, write_only};

/// One resource.
#[derive(Debug)]
pub struct Resource {
    pub name: &'static str,
    pub about: &'static str,
    pub which: Which,
    pub fields: &'static [Field],
    /// Fields that the table does not name are taken too: preferences.
    pub open: bool,
    /// Methods of the collection and of an item, besides HEAD and OPTIONS.
    pub collection: &'static [&'static str],
    pub item: &'static [&'static str],
    /// Query parameters besides `page` and `rows`, with what they mean.
    pub filters: &'static [(&'static str, &'static str)],
}

/// Which code serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Domains,
    Customers,
    Subscribers,
    SubscriberPreferences,
    DomainPreferences,
    SubscriberPreferenceDefs,
    DomainPreferenceDefs,
    Registrations,
    Cdrs,
    BannedIps,
}

/// Finds a resource by its name.
pub fn resource(name: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|resource| resource.name == name)
}

const READ: &[&str] = &["GET"];
const READ_CREATE: &[&str] = &["GET", "POST"];
const WRITE: &[&str] = &["GET", "PUT", "PATCH", "DELETE"];

const ID: Field = read_only("id", Kind::Integer(1, i64::MAX), "number of the entity");

const NUMBER: &[Field] = &[
    required("cc", Kind::Digits(4), "country code"),
    optional("ac", Kind::Digits(20), "area code"),
    required("sn", Kind::Digits(31), "subscriber number"),
];

const STATUS: &[&str] = &["active", "locked", "terminated"];

const TEXT: Kind = Kind::Text(255);
const COUNT: Kind = Kind::Integer(0, i64::MAX);

/// Every resource, in the order of the listing.
pub static RESOURCES: &[Resource] = &[
    Resource {
        name: "domains",
        about: "SIP domains that the switch serves",
        which: Which::Domains,
        fields: &[
            ID,
            required("domain", Kind::Host, "name of the domain"),
            optional("reseller_id", Kind::Integer(1, i64::MAX), "reseller that the domain belongs to, 1 by default"),
        ],
        open: false,
        collection: READ_CREATE,
        item: WRITE,
        filters: &[
            ("domain", "this domain; * at the end stands for any rest"),
            ("reseller_id", "domains of this reseller"),
        ],
    },
    Resource {
        name: "customers",
        about: "customers: who pays for subscribers",
        which: Which::Customers,
        fields: &[
            ID,
            optional("contact_id", Kind::Integer(1, i64::MAX), "contact of the customer"),
            optional("status", Kind::Choice(&["pending", "active", "locked", "terminated"]), "active by default"),
            optional("type", Kind::Choice(&["sipaccount", "pbxaccount"]), "sipaccount by default"),
            optional("external_id", TEXT, "number in the operator's own books, unique"),
            read_only("create_timestamp", Kind::Moment, "when it was made"),
            read_only("modify_timestamp", Kind::Moment, "when it was changed last"),
        ],
        open: false,
        collection: READ_CREATE,
        item: WRITE,
        filters: &[
            ("external_id", "the customer with this external id; * at the end stands for any rest"),
            ("status", "customers in this status"),
        ],
    },
    Resource {
        name: "subscribers",
        about: "subscribers: an address-of-record with credentials and numbers",
        which: Which::Subscribers,
        fields: &[
            ID,
            read_only("uuid", Kind::Text(36), "universal identity"),
            required("username", Kind::User(64), "user part of the address-of-record"),
            optional("domain", Kind::Host, "domain by name; this or domain_id is required"),
            optional("domain_id", Kind::Integer(1, i64::MAX), "domain by number"),
            write_only("password", Kind::Text(255), "SIP password; only its digests are kept"),
            optional("customer_id", Kind::Integer(1, i64::MAX), "customer that the subscriber belongs to"),
            optional("primary_number", Kind::Object(NUMBER), "number in E.164 parts"),
            optional("alias_numbers", Kind::List(&Kind::Object(NUMBER), 100), "further numbers"),
            optional("status", Kind::Choice(STATUS), "active by default"),
            optional("lock", Kind::Integer(0, 5), "0 none, 1 foreign, 2 outgoing, 3 all calls, 4 global, 5 ported"),
            optional("webusername", Kind::User(127), "name in the self-care pages"),
            optional("external_id", TEXT, "number in the operator's own books"),
            optional("display_name", TEXT, "name for people"),
            optional("email", TEXT, "address of the person"),
            optional("administrative", Kind::Flag, "may act for the other subscribers of the customer"),
            read_only("create_timestamp", Kind::Moment, "when it was made"),
            read_only("modify_timestamp", Kind::Moment, "when it was changed last"),
        ],
        open: false,
        collection: READ_CREATE,
        item: WRITE,
        filters: &[
            ("username", "subscribers of this name; * at the end stands for any rest"),
            ("domain", "subscribers of this domain"),
            ("customer_id", "subscribers of this customer"),
            ("number", "the subscriber with this number: digits of cc, ac and sn"),
            ("status", "subscribers in this status"),
        ],
    },
    Resource {
        name: "subscriberpreferences",
        about: "preferences of a subscriber, as one object; names that the switch does not know are kept whole",
        which: Which::SubscriberPreferences,
        fields: PREFERENCES,
        open: true,
        collection: READ,
        item: &["GET", "PUT", "PATCH"],
        filters: &[("username", "of subscribers of this name"), ("domain", "of subscribers of this domain")],
    },
    Resource {
        name: "domainpreferences",
        about: "preferences of a domain: defaults of its subscribers",
        which: Which::DomainPreferences,
        fields: PREFERENCES,
        open: true,
        collection: READ,
        item: &["GET", "PUT", "PATCH"],
        filters: &[("domain", "of this domain")],
    },
    Resource {
        name: "subscriberpreferencedefs",
        about: "preferences that work for subscribers: type and meaning of each",
        which: Which::SubscriberPreferenceDefs,
        fields: &[],
        open: false,
        collection: READ,
        item: &[],
        filters: &[],
    },
    Resource {
        name: "domainpreferencedefs",
        about: "preferences that work for domains: type and meaning of each",
        which: Which::DomainPreferenceDefs,
        fields: &[],
        open: false,
        collection: READ,
        item: &[],
        filters: &[],
    },
    Resource {
        name: "subscriberregistrations",
        about: "where subscribers are reachable; those made here are permanent unless they expire",
        which: Which::Registrations,
        fields: &[
            ID,
            required("subscriber_id", Kind::Integer(1, i64::MAX), "whose registration it is"),
            required("contact", Kind::Uri, "SIP URI of the device"),
            optional("expires", Kind::Moment, "when it ends; never when left out"),
            optional("q", Kind::Quality, "preference, 1 by default"),
            read_only("nat", Kind::Flag, "the device sits behind a NAT"),
            read_only("path", Kind::Text(2048), "way to the device (RFC 3327)"),
            read_only("received", TEXT, "address that its packets come from"),
            read_only("user_agent", TEXT, "what the device calls itself"),
            read_only("call_id", TEXT, "Call-ID of its REGISTER"),
        ],
        open: false,
        collection: READ_CREATE,
        item: &["GET", "PUT", "DELETE"],
        filters: &[("subscriber_id", "registrations of this subscriber")],
    },
    Resource {
        name: "cdrs",
        about: "call records: one for each answered call and one for each failed attempt",
        which: Which::Cdrs,
        fields: CDR,
        open: false,
        collection: READ,
        item: READ,
        filters: &[
            ("subscriber_id", "calls from or to this subscriber"),
            ("call_id", "the call with this Call-ID"),
            ("call_status", "calls that ended like this"),
            ("start_ge", "calls begun at this moment or later"),
            ("start_le", "calls begun at this moment or earlier"),
            ("copies", "`true` shows also copies of records that another node of the cluster exports"),
        ],
    },
    Resource {
        name: "bannedips",
        about: "addresses whose messages are dropped",
        which: Which::BannedIps,
        fields: &[
            read_only("id", Kind::Text(45), "the address"),
            required("ip", Kind::Address, "IP address"),
            optional("seconds", Kind::Integer(1, 31_536_000), "length of the ban, 3600 by default"),
            optional("reason", TEXT, "why, for people"),
            read_only("since", Kind::Moment, "when it began"),
            read_only("until", Kind::Moment, "when it ends"),
            read_only("dropped", COUNT, "messages dropped since"),
            read_only("origin", COUNT, "number of the node that banned it; all balancers of the cluster follow"),
        ],
        open: false,
        collection: READ_CREATE,
        item: &["GET", "DELETE"],
        filters: &[],
    },
];

/// A preferences object is open: any name may stand in it, and those that work are checked against their definition.
const PREFERENCES: &[Field] = &[
    ID,
    read_only("subscriber_id", Kind::Integer(1, i64::MAX), "whose preferences they are"),
    read_only("domain_id", Kind::Integer(1, i64::MAX), "whose preferences they are"),
];

const CDR: &[Field] = &[
    ID,
    read_only("record_id", TEXT, "identity of the record in the files: call key, first INVITE and leg"),
    read_only("call_id", TEXT, "Call-ID of the caller's leg"),
    read_only("callee_call_id", TEXT, "Call-ID of the callee's leg"),
    read_only("update_time", Kind::Moment, "when the record was written"),
    read_only("source_user_id", COUNT, "calling subscriber, 0 when it is not ours"),
    read_only("source_uuid", TEXT, "uuid of the calling subscriber"),
    read_only("source_user", TEXT, "user part of the caller"),
    read_only("source_domain", TEXT, "domain of the caller"),
    read_only("source_cli", TEXT, "number shown to the callee"),
    read_only("source_customer_id", COUNT, "customer of the caller"),
    read_only("source_ip", TEXT, "address that the call came from"),
    read_only("destination_user_id", COUNT, "called subscriber, 0 when it is not ours"),
    read_only("destination_uuid", TEXT, "uuid of the called subscriber"),
    read_only("destination_user", TEXT, "user part of the callee"),
    read_only("destination_domain", TEXT, "domain of the callee"),
    read_only("destination_user_dialed", TEXT, "user part as dialled"),
    read_only("destination_uri_dialed", TEXT, "Request-URI as dialled"),
    read_only("destination_uri_routed", TEXT, "Request-URI as routed"),
    read_only("destination_customer_id", COUNT, "customer of the callee"),
    read_only("call_type", TEXT, "call"),
    read_only("call_status", TEXT, "ok, busy, noanswer, cancel, offline or other"),
    read_only("call_code", COUNT, "SIP status of the outcome"),
    read_only("call_reason", TEXT, "reason phrase of the outcome"),
    read_only("stop_cause", TEXT, "who or what ended the call"),
    read_only("init_time", Kind::Moment, "first INVITE"),
    read_only("ring_time", Kind::Moment, "first ringing; empty when there was none"),
    read_only("start_time", Kind::Moment, "answer; empty when there was none"),
    read_only("end_time", Kind::Moment, "end"),
    read_only("duration_ms", COUNT, "from answer to end, milliseconds"),
    read_only("setup_ms", COUNT, "from INVITE to answer or refusal, milliseconds"),
    read_only("media_relay", TEXT, "rtpengine that carried the media"),
    read_only("packets_from_caller", COUNT, "RTP packets received from the caller"),
    read_only("packets_from_callee", COUNT, "RTP packets received from the callee"),
    read_only("bytes_from_caller", COUNT, "RTP bytes received from the caller"),
    read_only("bytes_from_callee", COUNT, "RTP bytes received from the callee"),
    read_only("lost_from_caller", COUNT, "packets lost by RTCP, where there was any"),
    read_only("lost_from_callee", COUNT, "packets lost by RTCP, where there was any"),
    read_only("jitter_from_caller", COUNT, "largest jitter by RTCP, RTP timestamp units"),
    read_only("jitter_from_callee", COUNT, "largest jitter by RTCP, RTP timestamp units"),
];
