// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fields of an upstream on who gets a request: balance and hash, endpoints, discovery, zone, sticky.

use super::super::field::{Choice, Doc, Entry, absent, bare, key};

const BALANCES: &[Choice] = &[
    absent("least-request", "the less busy of two; right for most HTTP"),
    bare("round-robin", "in turn; for equal machines and equal requests"),
    bare("weighted", "in turn by weight; for machines of different size"),
    bare("random", "by weight; for many balancers over the same endpoints"),
    bare("least-connections", "fewest open connections; for TCP that lives long"),
    bare("peak-ewma", "the faster of two; when some are sometimes slow"),
    bare("source-ip", "same client, same endpoint; when it keeps client state"),
    bare("ring", "by hash, as ketama clients do; for shared caches"),
    bare("maglev", "by hash, quickest to choose; for many endpoints"),
    bare("rendezvous", "by hash, moves fewest keys; for up to some tens"),
];

const HASH_BY: &[Choice] = &[
    absent("source-ip", "the client's address; of IPv6 its /64"),
    bare("path", "the path without its query; for caches"),
    bare("client-certificate", "the fingerprint of the client's certificate"),
    key("header", "the value of a request header"),
    key("cookie", "the value of a cookie"),
    key("query", "the value of a query parameter"),
];

pub(super) const BALANCE: &[Doc] = &[
    Doc::new("balance", "balance", Entry::Choice(BALANCES), "How an endpoint is chosen.").default("least-request"),
    Doc::new(
        "hash.by",
        "hash by",
        Entry::Choice(HASH_BY),
        "What ring, maglev and rendezvous hash. A request without \
         it is spread at random.",
    )
    .default("source-ip"),
    Doc::new("hash.by.header", "header", Entry::Text, "Name of the request header that is hashed.")
        .example("X-Tenant")
        .required(),
    Doc::new("hash.by.cookie", "cookie", Entry::Text, "Name of the cookie that is hashed.")
        .example("session")
        .required(),
    Doc::new("hash.by.query", "parameter", Entry::Text, "Name of the query parameter that is hashed.")
        .example("user")
        .required(),
    Doc::new(
        "hash.bounded_load",
        "bounded load",
        Entry::Share,
        "The most one endpoint may carry for its keys, as a \
         share of the mean; what is over goes elsewhere, so one hot key cannot drown an endpoint.",
    )
    .unit("105% to 1000%")
    .default("empty: no bound")
    .example("125%"),
    Doc::new(
        "hash.points",
        "ring points",
        Entry::Whole,
        "For ring: points of an endpoint of average weight. With 160 ketama clients agree; more spread more evenly.",
    )
    .unit("40 to 10000")
    .default("160")
    .example("3200"),
];

pub(super) const ENDPOINT: &[Doc] = &[
    Doc::new("address", "address", Entry::Text, "IP address and port of the machine that does the work.")
        .unit("IP:port; IPv6 in brackets")
        .default("none, it must be given")
        .example("10.0.0.11:8080")
        .required(),
    Doc::new("weight", "weight", Entry::Whole, "Share of the work relative to the others; 0 takes no new work.")
        .unit("whole number up to 10000")
        .default("1")
        .example("2"),
    Doc::new("backup", "backup", Entry::Flag, "Takes work only while no other endpoint can: the last tier.")
        .default("no"),
    Doc::new("priority", "priority", Entry::Whole, "Takes work only while no endpoint of a lower number can.")
        .unit("0 to 9")
        .default("0: with the first")
        .example("1"),
    Doc::new("zone", "zone", Entry::Text, "Where it is, for the section zone.")
        .default("empty: in no zone")
        .example("eu-1a"),
];

const SOURCES: &[Choice] = &[
    absent("none", "only the endpoints that are written"),
    key("dns", "every A and AAAA record of a name; for a name of several machines"),
    key("srv", "an SRV record with port, weight and priority; for Consul, Kubernetes"),
    key("file", "a file with an endpoint a line, read again when it changes; for scripts"),
    key("lease", "endpoints register through the API; for machines that come and go"),
];

pub(super) const DISCOVERY: &[Doc] = &[
    Doc::new("discovery", "source", Entry::Choice(SOURCES), "Where more endpoints come from.").default("none"),
    Doc::new("discovery.dns", "name", Entry::Text, "The name that is asked for, and the port of every address it has.")
        .unit("name:port")
        .example("shop.internal:8080")
        .required(),
    Doc::new("discovery.srv", "record", Entry::Text, "The SRV record that is asked for, again when its TTL is over.")
        .example("_http._tcp.shop.internal")
        .required(),
    Doc::new(
        "discovery.file.path",
        "file",
        Entry::Text,
        "Each line: address, or address weight, or address weight \
         backup; # begins a comment.",
    )
    .unit("absolute path on the machine of the daemon")
    .example("/etc/weirgate/shop.endpoints")
    .required(),
    Doc::new(
        "discovery.lease.ttl",
        "longest lease",
        Entry::Time,
        "The longest a registration lives without being \
         renewed.",
    )
    .default("30s")
    .example("10s"),
];

pub(super) const ZONE: &[Doc] = &[
    Doc::new("zone", "prefer a zone", Entry::Switch, "Whether endpoints of one zone go first.").default("off"),
    Doc::new("zone.prefer", "this zone", Entry::Text, "The zone this weirgate is in.").example("eu-1a").required(),
    Doc::new(
        "zone.enough",
        "enough",
        Entry::Share,
        "While at least this share of the zone's weight is usable, all \
         requests stay in it; below, the rest spills over.",
    )
    .default("70%")
    .example("50%"),
];

const STICKIES: &[Choice] = &[
    absent("none", "each request goes where balance says"),
    key("cookie", "a sealed cookie that weirgate sets; for browsers"),
    key("header", "the same sealed value in a header; for clients that send it back"),
    key("learn", "a cookie that the endpoint sets; for applications that have one"),
];

pub(super) const STICKY: &[Doc] = &[
    Doc::new("sticky", "recognise by", Entry::Choice(STICKIES), "How a client is recognised.").default("none"),
    Doc::new(
        "sticky.cookie.name",
        "cookie name",
        Entry::Text,
        "Name of the cookie. Its value is sealed: no address can \
         be read from it and none can be forged.",
    )
    .default("weirgate")
    .example("route"),
    Doc::new("sticky.cookie.path", "cookie path", Entry::Text, "Paths for which the browser sends it.")
        .default("/")
        .example("/shop"),
    Doc::new("sticky.cookie.max_age", "kept for", Entry::Time, "How long the browser keeps it.")
        .default("empty: until it is closed")
        .example("1h"),
    Doc::new("sticky.header", "header name", Entry::Text, "Name of the header, set in replies and read from requests.")
        .example("X-Route")
        .required(),
    Doc::new("sticky.learn.cookie", "their cookie", Entry::Text, "Name of the cookie that the endpoint sets.")
        .example("JSESSIONID")
        .required(),
    Doc::new(
        "sticky.learn.entries",
        "remember",
        Entry::Whole,
        "Most sessions that are remembered; the one unused \
         longest is forgotten for a new one.",
    )
    .unit("sessions")
    .default("65536")
    .example("200000"),
    Doc::new("sticky.learn.idle", "forget after", Entry::Time, "A session that is unused so long is forgotten.")
        .default("30m")
        .example("8h"),
];
