// SPDX-License-Identifier: MIT OR Apache-2.0
//! The text that is signed (RFC 9421 section 2.5), from a request as it goes to the endpoint: its path in normal form,
//! its fields as they were sent.

use super::input::Input;
use crate::exchange::{Request, Scheme};

/// Whether a signature over these components covers this one, by itself or in another.
pub(super) fn covers(components: &[&str], wanted: &str) -> bool {
    let wider: &[&str] = match wanted {
        "@authority" | "@scheme" => &["@target-uri"],
        "@path" | "@query" => &["@target-uri", "@request-target"],
        _ => &[],
    };
    components.iter().any(|component| *component == wanted || wider.contains(component))
}

/// The signature base, or what of it the request does not have.
pub(super) fn of(input: &Input<'_>, request: &Request, scheme: Scheme) -> Result<Vec<u8>, &'static str> {
    let mut text = Vec::with_capacity(512);
    for component in &input.components {
        text.extend_from_slice(format!("\"{component}\": ").as_bytes());
        value(component, request, scheme, &mut text)?;
        text.push(b'\n');
    }
    text.extend_from_slice(b"\"@signature-params\": ");
    text.extend_from_slice(input.params.as_bytes());
    Ok(text)
}

fn value(component: &str, request: &Request, scheme: Scheme, out: &mut Vec<u8>) -> Result<(), &'static str> {
    match component {
        "@method" => out.extend_from_slice(request.method.as_str().as_bytes()),
        "@authority" => out.extend_from_slice(&authority(request, scheme)),
        "@scheme" => out.extend_from_slice(scheme.name().as_bytes()),
        "@path" => out.extend_from_slice(path(request)),
        "@query" => {
            out.push(b'?');
            out.extend_from_slice(request.query().unwrap_or_default());
        }
        "@request-target" => target(request, out),
        "@target-uri" => {
            out.extend_from_slice(format!("{}://", scheme.name()).as_bytes());
            out.extend_from_slice(&authority(request, scheme));
            target(request, out);
        }
        "host" => out.extend_from_slice(request.fields.text(request.authority)),
        _ if component.starts_with('@') => return Err("a signature over a component that is not supported"),
        name => return field(name, request, out),
    }
    Ok(())
}

/// RFC 9421 section 2.1: all values of a field, without the spaces around them, in their order.
fn field(name: &str, request: &Request, out: &mut Vec<u8>) -> Result<(), &'static str> {
    let mut values = request.fields.named(name.as_bytes()).map(<[u8]>::trim_ascii);
    let first = values.next().ok_or("a signature over a field that the request does not have")?;
    out.extend_from_slice(first);
    for value in values {
        out.extend_from_slice(b", ");
        out.extend_from_slice(value);
    }
    Ok(())
}

/// RFC 9421 section 2.2.3: in lower case, without the port that the scheme has anyway.
fn authority(request: &Request, scheme: Scheme) -> Vec<u8> {
    let text = request.fields.text(request.authority).to_ascii_lowercase();
    let port: &[u8] = match scheme {
        Scheme::Http => b":80",
        Scheme::Https => b":443",
    };
    text.strip_suffix(port).map_or(text.clone(), <[u8]>::to_vec)
}

fn path(request: &Request) -> &[u8] {
    let path = request.path();
    if path.is_empty() { b"/" } else { path }
}

fn target(request: &Request, out: &mut Vec<u8>) {
    out.extend_from_slice(path(request));
    if let Some(query) = request.query() {
        out.push(b'?');
        out.extend_from_slice(query);
    }
}
