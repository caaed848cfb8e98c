// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files that a configuration names: certificate chains, keys and authorities, read and put in place of their names.
//!
//! Whoever has the file does this: the command line before it sends a change, and the daemon only for `run --apply`.
//! The control socket never makes the daemon open a path that a client chose.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use crate::model::{Listener, Model, Name, PEM, Policy, PolicyRef, STORED};
use crate::parse::place::quoted;
use crate::wire::{Problem, ProblemCode};

/// Longest certificate or key file.
pub const PEM_BYTES_MAX: u64 = 1 << 20;

/// Reads every file the model names, relative to `base_dir`, and puts its text in place of the name.
///
/// Problems have no line; [`parse::locate`](crate::parse::locate) gives them one where the text is at hand.
pub fn inline(model: &mut Model, base_dir: &Path) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, certificate) in &mut model.certificates {
        for (field, value) in [("chain", &mut certificate.chain), ("key", &mut certificate.key.0)] {
            let path = || format!("certificates.{}.{field}", quoted(name.as_str()));
            problems.extend(replace(value, base_dir, path));
        }
    }
    for (name, listener) in &mut model.listeners {
        let Some(clients) = &mut listener.client_certificates else { continue };
        for (field, value) in [("ca", Some(&mut clients.ca)), ("crl", clients.crl.as_mut())] {
            let path = || format!("listeners.{}.client_certificates.{field}", quoted(name.as_str()));
            problems.extend(value.and_then(|value| replace(value, base_dir, path)));
        }
    }
    for (name, upstream) in &mut model.upstreams {
        if let Some(ca) = &mut upstream.tls.ca {
            problems.extend(replace(ca, base_dir, || format!("upstreams.{}.tls.ca", quoted(name.as_str()))));
        }
    }
    for (path, policy) in policies(model) {
        problems.extend(token_files(&path, policy, base_dir));
    }
    problems
}

/// Every policy with its place, named or written in a route.
fn policies(model: &mut Model) -> impl Iterator<Item = (String, &mut Policy)> {
    let named = model.policies.iter_mut().map(|(name, policy)| (format!("policies.{}", quoted(name.as_str())), policy));
    let written = model.routes.iter_mut().flat_map(|(name, route)| {
        let place = move |at| format!("routes.{}.policies[{at}]", quoted(name.as_str()));
        route.policies.iter_mut().enumerate().filter_map(move |(at, policy)| match policy {
            PolicyRef::Inline(policy) => Some((place(at), policy)),
            PolicyRef::Named(_) => None,
        })
    });
    named.chain(written)
}

/// The files that a policy about tokens names.
fn token_files(path: &str, policy: &mut Policy, base_dir: &Path) -> Vec<Problem> {
    let jwt = match policy {
        Policy::Jwt(jwt) => jwt,
        Policy::OAuth2(oauth2) => {
            let ca = oauth2.ca.as_mut();
            return ca.and_then(|ca| replace(ca, base_dir, || format!("{path}.oauth2.ca"))).into_iter().collect();
        }
        _ => return Vec::new(),
    };
    let mut problems = Vec::new();
    for (field, value) in [("public_key", &mut jwt.public_key), ("ca", &mut jwt.ca)] {
        if let Some(value) = value {
            problems.extend(replace(value, base_dir, || format!("{path}.jwt.{field}")));
        }
    }
    if let Some(jwks) = &mut jwt.jwks
        && !jwks.trim_start().starts_with('{')
    {
        match text_of(&base_dir.join(jwks.as_str())) {
            Ok(text) => *jwks = text,
            Err((message, help)) => problems.push(Problem {
                code: ProblemCode::Unreadable,
                path: format!("{path}.jwt.jwks"),
                message,
                help: Some(help),
                line: None,
                column: None,
            }),
        }
    }
    problems
}

/// Puts the text of a file in place of its name, or says why it cannot be read.
fn replace(value: &mut String, base_dir: &Path, path: impl FnOnce() -> String) -> Option<Problem> {
    if value.trim_start().starts_with(PEM) || value.starts_with(STORED) {
        return None;
    }
    match read(&base_dir.join(value.as_str())) {
        Ok(text) => {
            *value = text;
            None
        }
        Err((message, help)) => {
            let code = ProblemCode::Unreadable;
            Some(Problem { code, path: path(), message, help: Some(help), line: None, column: None })
        }
    }
}

/// What of a model with mistakes in it can still be tried on the machine: its listeners, and the certificates that have
/// been read. `known` are the mistakes that are told already.
pub fn for_the_machine(model: &Model, known: &[Problem]) -> Model {
    let mut part = Model { listeners: model.listeners.clone(), ..Model::default() };
    let is_known = |name: &Name| {
        let path = format!("certificates.{}", quoted(name.as_str()));
        known.iter().any(|problem| {
            problem.path.strip_prefix(&path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    let certificates = model.certificates.iter().filter(|(name, _)| !is_known(name));
    part.certificates = certificates.map(|(name, certificate)| (name.clone(), certificate.clone())).collect();
    let mut addresses = BTreeSet::new();
    part.listeners.retain(|_, listener| listener.address.port() == 0 || addresses.insert(listener.address));
    for listener in part.listeners.values_mut() {
        *listener = Listener::plain(listener.address);
    }
    part
}

/// The text of a short file, or why it cannot be read and what to do.
fn text_of(path: &Path) -> Result<String, (String, String)> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| {
        let help = match error.kind() {
            std::io::ErrorKind::NotFound => "write a path relative to the configuration file, or an absolute one",
            std::io::ErrorKind::PermissionDenied => "let the user that runs this command read it",
            _ => "write the name of a text file",
        };
        (format!("{shown} cannot be read: {error}"), help.to_owned())
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(PEM_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > PEM_BYTES_MAX {
        return Err((format!("{shown} is longer than {PEM_BYTES_MAX} bytes"), "name a shorter file".to_owned()));
    }
    Ok(text)
}

/// The text of a PEM file, or what is wrong with it and what to do.
fn read(path: &Path) -> Result<String, (String, String)> {
    let shown = path.display();
    let mut text = text_of(path)?;
    if !text.contains(PEM) {
        let help = "the file must hold \"-----BEGIN …\" blocks; `openssl x509 -in FILE -inform der` makes them";
        return Err((format!("{shown} is not PEM text"), help.to_owned()));
    }
    // What stands before the first block is commentary; without it the value shows what it is by its first word.
    let start = text.find(PEM).unwrap_or(0);
    Ok(text.split_off(start))
}

#[cfg(test)]
mod tests {
    use super::inline;
    use crate::parse::{locate, parse_toml};
    use crate::wire::ProblemCode;

    #[test]
    fn files_are_read_and_what_cannot_be_is_named_with_its_line() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
        std::fs::write(dir.path().join("a.pem"), format!("Subject: a\n{pem}")).expect("it can be written");
        std::fs::write(dir.path().join("bad.pem"), "hello").expect("it can be written");
        let text = "[certificates.site]\nchain = \"a.pem\"\nkey = \"absent.key\"\n[certificates.two]\nchain = \"bad.pem\"\nkey = \"stored:00\"\n\
            [upstreams.u]\nprotocol = \"https\"\ntls = { ca = \"a.pem\" }\n[upstreams.v.tls]\nca = \"no.pem\"\n";
        let mut model = parse_toml(text).expect("it is valid");
        let problems: Vec<_> = inline(&mut model, dir.path()).into_iter().map(|p| locate(p, text)).collect();
        let seen: Vec<_> = problems.iter().map(|p| (p.code, p.path.as_str(), p.line)).collect();
        let want = [
            (ProblemCode::Unreadable, "certificates.site.key", Some(3)),
            (ProblemCode::Unreadable, "certificates.two.chain", Some(5)),
            (ProblemCode::Unreadable, "upstreams.v.tls.ca", Some(11)),
        ];
        assert_eq!(seen, want);
        assert!(
            problems.first().is_some_and(|p| p.message.contains("absent.key") && p.message.contains("No such file"))
        );
        assert_eq!(model.upstreams.get("u").and_then(|u| u.tls.ca.as_deref()), Some(pem));
        assert_eq!(model.certificates.get("site").map(|site| site.chain.as_str()), Some(pem));
    }
}
