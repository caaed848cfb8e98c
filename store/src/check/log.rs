// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for logs: a place that can be written to, a template whose fields exist, filters that name what is there.
//! Whether a file can be opened only the machine can tell; that is for the daemon.

use std::collections::HashMap;

use super::Findings;
use crate::model::{Discovery, Kind, Log, LogField, LogFormat, LogSink, Name};
use crate::parse::place::quoted;
use crate::wire::ProblemCode;

/// Most logs: every exchange is held against each.
const LOGS_MAX: usize = 16;

/// Most fields of a line, names to hide, and entries of a filter.
const ENTRIES_MAX: usize = 64;

/// Longest template.
const TEMPLATE_BYTES_MAX: usize = 4_096;

/// A file that begins anew does so at this size or a larger one.
const FILE_BYTES_MIN: u64 = 1 << 20;

pub(super) fn check(findings: &mut Findings<'_>) {
    let model = findings.model;
    if model.logs.len() > LOGS_MAX {
        findings.bad("logs", format!("{} logs", model.logs.len()), format!("at most {LOGS_MAX} logs"));
    }
    let mut files: HashMap<&str, &Name> = HashMap::new();
    for (name, log) in &model.logs {
        sink(findings, name, log);
        lines(findings, name, log);
        filter(findings, name, log);
        let LogSink::File(file) = &log.to else { continue };
        if let Some(other) = files.insert(&file.path, name) {
            let message = format!("log \"{other}\" writes to this file");
            findings.problem(ProblemCode::Duplicate, at(name, "to.file.path"), message, "give each log its own file");
        }
    }
}

fn at(name: &Name, inner: &str) -> String {
    format!("logs.{}.{inner}", quoted(name.as_str()))
}

fn sink(findings: &mut Findings<'_>, name: &Name, log: &Log) {
    match &log.to {
        LogSink::Stdout | LogSink::Journald => {}
        LogSink::File(file) => {
            absolute(findings, at(name, "to.file.path"), &file.path);
            if file.size.is_some_and(|size| size.0 < FILE_BYTES_MIN) {
                findings.bad(at(name, "to.file.size"), "the file would begin anew all the time", "write 1MiB or more");
            }
        }
        LogSink::Syslog(syslog) => match (&syslog.unix, &syslog.udp) {
            (Some(path), None) => absolute(findings, at(name, "to.syslog.unix"), path),
            (None, Some(address)) => host_and_port(findings, at(name, "to.syslog.udp"), address),
            (None, None) | (Some(_), Some(_)) => {
                let help = "write either unix = \"/dev/log\" or udp = \"host:514\"";
                findings.problem(ProblemCode::Conflict, at(name, "to.syslog"), "a syslog is at one place", help);
            }
        },
        LogSink::Tcp(address) => host_and_port(findings, at(name, "to.tcp"), address),
        LogSink::Otlp(otlp) => {
            let authority = otlp.url.strip_prefix("http://").and_then(|rest| rest.split('/').next());
            if !authority.is_some_and(is_host_and_port) || !otlp.url.bytes().all(|b| b.is_ascii_graphic()) {
                let help = "write it like \"http://127.0.0.1:4318/v1/traces\", with a port";
                findings.bad(at(name, "to.otlp.url"), "this is not the address of a collector", help);
            }
            if otlp.service.is_empty() || otlp.service.len() > 128 {
                findings.bad(at(name, "to.otlp.service"), "a service has a name", "write 1 to 128 characters");
            }
        }
    }
}

fn absolute(findings: &mut Findings<'_>, path: String, file: &str) {
    if !file.starts_with('/') || file.ends_with('/') || file.contains('\0') {
        let message = format!("\"{}\" is not the absolute path of a file", file.escape_debug());
        findings.bad(path, message, "write it from the root on, such as \"/var/log/weirgate/access.log\"");
    }
}

fn host_and_port(findings: &mut Findings<'_>, path: String, text: &str) {
    if !is_host_and_port(text) {
        let message = format!("\"{}\" is not a host and a port", text.escape_debug());
        findings.bad(path, message, "write \"logs.example.com:514\" or \"192.0.2.1:514\"");
    }
}

fn is_host_and_port(text: &str) -> bool {
    text.parse::<std::net::SocketAddr>().is_ok_and(|address| address.port() != 0)
        || Discovery::name_and_port(text).is_some()
}

fn lines(findings: &mut Findings<'_>, name: &Name, log: &Log) {
    for (list, count) in [("fields", log.fields.len()), ("redact", log.redact.len())] {
        if count > ENTRIES_MAX {
            findings.bad(at(name, list), format!("{count} entries"), format!("at most {ENTRIES_MAX}"));
        }
    }
    for (index, hidden) in log.redact.iter().enumerate().filter(|(_, hidden)| hidden.is_empty()) {
        let message = format!("\"{hidden}\" is not a name");
        findings.bad(at(name, &format!("redact[{index}]")), message, "write a name such as \"X-Pin\"");
    }
    if log.sample.0 > 100 {
        findings.bad(at(name, "sample"), format!("{} of all is more than all", log.sample), "write 100% or less");
    }
    let chooses = matches!(log.format, LogFormat::Json | LogFormat::Logfmt) && !matches!(log.to, LogSink::Otlp(_));
    if !log.fields.is_empty() && !chooses {
        let help = "leave fields out, or write format = \"json\" or \"logfmt\"";
        findings.problem(ProblemCode::Conflict, at(name, "fields"), "this format has fields of its own", help);
    }
    if matches!(log.to, LogSink::Otlp(_)) && log.format != LogFormat::Json {
        findings.problem(ProblemCode::Conflict, at(name, "format"), "spans have a format of their own", "leave it out");
    }
    if let LogFormat::Template(template) = &log.format {
        check_template(findings, &at(name, "format.template"), template);
    }
}

fn check_template(findings: &mut Findings<'_>, path: &str, template: &str) {
    if template.is_empty() || template.len() > TEMPLATE_BYTES_MAX {
        let help = format!("write 1 to {TEMPLATE_BYTES_MAX} bytes");
        findings.bad(path, "this template has no good length", help);
    }
    if template.chars().any(char::is_control) {
        findings.bad(path, "a template is one line", "leave line breaks and other control characters out");
    }
    if let Err(sentence) = template_parts(template) {
        let (message, help) = sentence.split_once(": ").unwrap_or((&sentence, "write {status} or {header:X-Name}"));
        findings.bad(path, message, help);
    }
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplatePart {
    Text(String),
    Field(LogField),
}

/// The pieces of a template: text, and `{field}`; `{{` and `}}` are braces.
///
/// # Errors
/// A sentence about what cannot be read.
pub fn template_parts(template: &str) -> Result<Vec<TemplatePart>, String> {
    let (mut parts, mut text) = (Vec::new(), String::new());
    let mut rest = template;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
            text.push(c);
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let (name, after) = after.split_once('}').ok_or("a brace is not closed: write } after the name, or {{")?;
            if !text.is_empty() {
                parts.push(TemplatePart::Text(std::mem::take(&mut text)));
            }
            parts.push(TemplatePart::Field(name.parse()?));
            rest = after;
        } else {
            text.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    if !text.is_empty() {
        parts.push(TemplatePart::Text(text));
    }
    Ok(parts)
}

fn filter(findings: &mut Findings<'_>, name: &Name, log: &Log) {
    let lists = [(Kind::Route, "routes", &log.only.routes), (Kind::Listener, "listeners", &log.only.listeners)];
    for (kind, list, names) in lists {
        for (index, named) in names.iter().enumerate() {
            findings.refers(|| at(name, &format!("only.{list}[{index}]")), kind, named);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{TemplatePart, template_parts};
    use crate::parse::parse_and_check;

    /// Each row: what stands in a log, and a piece of the complaint; empty where it is right.
    fn check(rows: &[(&str, &str)]) {
        for (settings, want) in rows {
            let text = format!("[logs.a]\n{settings}\n");
            let got = match parse_and_check(&text) {
                Ok(_) => String::new(),
                Err(problems) => problems.iter().map(|p| format!("{}: {}; ", p.path, p.message)).collect(),
            };
            assert_eq!(got.is_empty(), want.is_empty(), "row {settings}: {got}");
            assert!(got.contains(want), "row {settings}: {got}");
        }
    }

    #[test]
    fn logs_are_checked() {
        check(&[
            ("to = \"stdout\"", ""),
            ("to = \"journald\"\nformat = \"logfmt\"\nfields = [\"time\", \"header:X-Tenant\"]", ""),
            (
                "to = { file = { path = \"/a/b\", size = \"10MiB\" } }\nformat = { template = \"{id} {{}} {status}\" }",
                "",
            ),
            ("to = { syslog = { udp = \"192.0.2.1:514\" } }\nsample = \"1%\"\nslow = \"2s\"", ""),
            ("to = { tcp = \"logs.example.com:9000\" }\nonly = { status = [\"5xx\", \"404\"] }", ""),
            ("to = { otlp = { url = \"http://127.0.0.1:4318/v1/traces\" } }", ""),
            ("", "logs.a.to: \"to\" is missing"),
            ("to = \"nowhere\"", "\"nowhere\""),
            ("to = { file = { path = \"access.log\" } }", "absolute path"),
            ("to = { file = { path = \"/a\", size = \"1KiB\" } }", "logs.a.to.file.size"),
            ("to = { syslog = {} }", "one place"),
            ("to = { tcp = \"logs\" }", "not a host and a port"),
            ("to = { otlp = { url = \"https://x:1/\" } }", "collector"),
            ("to = \"stdout\"\nformat = { template = \"{statsu}\" }", "no field of a log"),
            ("to = \"stdout\"\nformat = { template = \"{status\" }", "not closed"),
            ("to = \"stdout\"\nfields = [\"body\"]", "no field of a log"),
            ("to = \"stdout\"\nformat = \"combined\"\nfields = [\"id\"]", "fields of its own"),
            ("to = \"stdout\"\nsample = \"101%\"", "more than all"),
            ("to = \"stdout\"\nonly = { routes = [\"gone\"] }", "there is no route"),
            ("to = \"stdout\"\nonly = { status = [\"600\"] }", "not a status"),
            ("to = { file = { path = \"/a\" } }\n[logs.b]\nto = { file = { path = \"/a\" } }", "writes to this file"),
        ]);
    }

    #[test]
    fn templates_are_cut() {
        let text = |text: &str| TemplatePart::Text(text.to_owned());
        let field = |name: &str| TemplatePart::Field(name.parse().expect("a field"));
        let got = template_parts("a {status}{id}}} {{é").expect("it is right");
        assert_eq!(got, [text("a "), field("status"), field("id"), text("} {é")]);
    }
}
