// SPDX-License-Identifier: MIT OR Apache-2.0
//! Logs of every shape, for the models that are written and read back.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{name, size, span, text};
use crate::model::*;

pub(super) fn log() -> impl Strategy<Value = Log> {
    let (sink, format) = (sink(), format());
    let filter = (vec(name(), 0..3), vec(name(), 0..3), vec(status(), 0..3));
    let only = filter.prop_map(|(routes, listeners, status)| LogFilter { routes, listeners, status });
    let share = (0..101_u16).prop_map(Percent);
    (sink, format, vec(field(), 0..4), only, share, span(), vec(text(), 0..3)).prop_map(
        |(to, format, fields, only, sample, slow, redact)| Log { to, format, fields, only, sample, slow, redact },
    )
}

fn sink() -> impl Strategy<Value = LogSink> {
    prop_oneof![
        Just(LogSink::Stdout),
        Just(LogSink::Journald),
        (text(), option::of(size())).prop_map(|(path, size)| LogSink::File(LogFile { path, size })),
        (option::of(text()), option::of(text())).prop_map(|(unix, udp)| LogSink::Syslog(LogSyslog { unix, udp })),
        text().prop_map(LogSink::Tcp),
        (text(), text()).prop_map(|(url, service)| LogSink::Otlp(LogOtlp { url, service })),
    ]
}

fn format() -> impl Strategy<Value = LogFormat> {
    prop_oneof![
        Just(LogFormat::Json),
        Just(LogFormat::Logfmt),
        Just(LogFormat::Combined),
        text().prop_map(LogFormat::Template),
    ]
}

fn field() -> impl Strategy<Value = LogField> {
    prop_oneof![prop::sample::select(LOG_FIELDS_DEFAULT.to_vec()), "[A-Za-z0-9-]{1,8}".prop_map(LogField::Header),]
}

fn status() -> impl Strategy<Value = StatusRange> {
    (100..600_u16, 0..200_u16).prop_map(|(first, more)| StatusRange { first, last: (first + more).min(599) })
}
