// SPDX-License-Identifier: MIT OR Apache-2.0
//! Consumers and their keys as the data path finds them.
//!
//! Keys come from two places: those written in the configuration, which change with it, and those issued at run time,
//! which do not. A consumer keeps its number for the life of the process, whatever happens to the configuration, so
//! that limits count on and a number never means somebody else.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use weirgate_store::model::{self, CertificateMatch, Model, Name, STORED, SignatureAlgorithm};
use weirgate_store::wire::{Problem, ProblemCode};

use super::snapshot::Plans;
use super::usages::Usages;
use crate::observe::{Meter, Metered, Meters};
use crate::policy::authenticate::passwords::{Hasher, Passwords, Users};
use crate::policy::authenticate::proofs::Proofs;
use crate::policy::authenticate::signature::key::{Algorithm, SigningKey};
use crate::policy::plan::Entitlement;
use crate::policy::{Consumer, Credential, CredentialChange, Credentials, Hash, Subjects};

/// What the data path reads: the keys, and where each consumer is counted.
#[derive(Debug)]
pub struct Directory {
    pub credentials: Credentials,
    /// By [`Consumer::id`].
    pub meters: Arc<[Option<Arc<Meter>>]>,
}

/// Who is known, kept by the control side.
#[derive(Debug)]
pub struct Consumers {
    ids: HashMap<Arc<str>, u32>,
    /// Keys of the running configuration.
    declared: HashSet<(Hash, u32)>,
    credentials: Credentials,
    /// What verified passwords are remembered by.
    secret: [u8; 32],
    hasher: Option<Hasher>,
    /// What each has used of its plan.
    pub usages: Usages,
}

/// A key that was issued at run time.
#[derive(Clone, Debug)]
pub struct Issued {
    pub hash: Hash,
    pub consumer: Name,
    /// Seconds since 1970 UTC; none is never.
    pub expires_s: Option<u32>,
}

/// Issued keys on their way from the store. There may be a million, so each is kept in its final form at once.
#[derive(Debug, Default)]
pub struct Restored {
    ids: HashMap<Arc<str>, u32>,
    credentials: Vec<Credential>,
}

impl Restored {
    pub fn push(&mut self, key: &Issued) {
        let credential = credential(&mut self.ids, key);
        self.credentials.push(credential);
    }
}

impl Consumers {
    /// The issued keys of the store; `secret` is what their hashes are keyed with, `hasher` checks passwords.
    pub fn new(secret: [u8; 32], issued: Restored, hasher: Option<Hasher>, usages: Usages) -> Self {
        let Restored { ids, credentials } = issued;
        let credentials = Credentials::build(secret, Arc::new([]), credentials.into_iter());
        Self { ids, declared: HashSet::new(), credentials, secret, hasher, usages }
    }

    /// Takes over the consumers of `model` and the keys written in it. `stored` reads a secret that is kept apart.
    pub fn adopt(
        &mut self,
        model: &Model,
        meters: &Meters,
        stored: Stored<'_>,
        plans: &Plans,
        now_s: i64,
    ) -> Directory {
        let mut declared = HashSet::new();
        for (name, consumer) in &model.consumers {
            let id = id_of(&mut self.ids, name.as_str());
            let hashes = consumer.api_keys.iter().filter_map(|key| parse_hash(key.hash.as_deref()?));
            declared.extend(hashes.map(|hash| (hash, id)));
        }
        let gone = self.declared.difference(&declared).map(|(hash, _)| CredentialChange::Revoke(*hash));
        let new = declared.difference(&self.declared).map(|(hash, consumer)| {
            CredentialChange::Issue(Credential { hash: *hash, consumer: *consumer, expires_s: 0 })
        });
        let changes: Vec<_> = gone.chain(new).collect();
        self.usages.prune(model, now_s);
        let (people, counted) = self.people(model, meters, plans);
        let subjects = self.subjects(model);
        let proofs = Arc::new(self.proofs(model, stored));
        let known = self.credentials.with_consumers(people).with_subjects(subjects);
        self.credentials = known.with(&changes).with_proofs(proofs);
        self.declared = declared;
        Directory { credentials: self.credentials.clone(), meters: counted }
    }

    /// What the consumers of `model` prove themselves by. Every one of them has a number by now.
    fn proofs(&self, model: &Model, stored: Stored<'_>) -> Proofs {
        let (mut users, mut proofs) = (Users::new(), Proofs::default());
        for (name, consumer) in &model.consumers {
            let Some((name, id)) = self.ids.get_key_value(name.as_str()) else { continue };
            proofs.names.insert(Arc::clone(name), *id);
            for user in &consumer.basic {
                let hash = user.hash.as_deref().and_then(|hash| hash.parse().ok());
                users.extend(hash.map(|hash| (user.user.as_bytes().into(), (hash, *id))));
            }
            for key in &consumer.signing_keys {
                match signing_key(key, stored) {
                    Ok(signing) => drop(proofs.signing_keys.insert(key.id.as_str().into(), (signing, *id))),
                    // It was looked at before; a file that is gone since is the only reason.
                    Err(error) => tracing::error!(key = key.id, error, "a signing key is passed over"),
                }
            }
            for shown in &consumer.certificates {
                match shown {
                    // The check has seen that it is one.
                    CertificateMatch::Fingerprint(text) => drop(proofs.certificates.add_fingerprint(text, *id)),
                    CertificateMatch::Subject(text) => proofs.certificates.add_subject(text, *id),
                    CertificateMatch::San(text) => proofs.certificates.add_name(text, *id),
                }
            }
        }
        // What is remembered of passwords goes with the users: a change elsewhere makes nobody wait.
        let known = &self.credentials.proofs().passwords;
        let is_same = known.has(&users);
        proofs.nonces = Arc::clone(&self.credentials.proofs().nonces);
        proofs.passwords =
            if is_same { Arc::clone(known) } else { Arc::new(Passwords::new(users, self.secret, self.hasher.clone())) };
        proofs
    }

    /// Adds keys that were just issued.
    pub fn issue(&mut self, keys: &[Issued], counted: Arc<[Option<Arc<Meter>>]>) -> Directory {
        let changes: Vec<_> = keys.iter().map(|key| CredentialChange::Issue(credential(&mut self.ids, key))).collect();
        self.change(&changes, counted)
    }

    /// Takes back a key.
    pub fn revoke(&mut self, hash: Hash, counted: Arc<[Option<Arc<Meter>>]>) -> Directory {
        self.change(&[CredentialChange::Revoke(hash)], counted)
    }

    fn change(&mut self, changes: &[CredentialChange], counted: Arc<[Option<Arc<Meter>>]>) -> Directory {
        self.credentials = self.credentials.with(changes);
        Directory { credentials: self.credentials.clone(), meters: counted }
    }

    /// What tokens call the consumers.
    fn subjects(&self, model: &Model) -> Subjects {
        let mut subjects = Subjects::default();
        for (name, consumer) in &model.consumers {
            let Some(id) = self.ids.get(name.as_str()) else { continue };
            let subject = consumer.jwt.as_ref().map(|jwt| (jwt.subject.as_str(), jwt.issuer.as_deref()));
            subjects.add(*id, name.as_str(), subject);
        }
        subjects
    }

    #[expect(clippy::type_complexity, reason = "two parallel lists by consumer number")]
    fn people(
        &mut self,
        model: &Model,
        meters: &Meters,
        plans: &Plans,
    ) -> (Arc<[Option<Arc<Consumer>>]>, Arc<[Option<Arc<Meter>>]>) {
        let mut people = vec![None; self.ids.len()];
        let mut counted = vec![None; self.ids.len()];
        for (name, consumer) in &model.consumers {
            let Some(id) = self.ids.get(name.as_str()).copied() else { continue };
            let groups: Vec<&str> = consumer.groups.iter().map(String::as_str).collect();
            if let (Some(person), Some(meter)) = (people.get_mut(id as usize), counted.get_mut(id as usize)) {
                let plan = plans.of(name.as_str(), consumer.plan.as_ref());
                let entitlement = plan.map(|plan| Entitlement { plan, usage: self.usages.of(name.as_str()) });
                let known = Consumer::new(id, name.as_str(), &groups).urgent(consumer.urgency).entitled(entitlement);
                *person = Some(Arc::new(known));
                *meter = Some(meters.meter(Metered::Consumer, name.as_str()));
            }
        }
        (people.into(), counted.into())
    }
}

/// Reads a secret that is kept apart, by its fingerprint.
pub type Stored<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// The key as it verifies signatures, or why it cannot.
fn signing_key(key: &model::SigningKey, stored: Stored<'_>) -> Result<SigningKey, String> {
    let algorithm = match key.algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => Algorithm::EcdsaP256Sha256,
        SignatureAlgorithm::Ed25519 => Algorithm::Ed25519,
        SignatureAlgorithm::HmacSha256 => Algorithm::HmacSha256,
        SignatureAlgorithm::RsaPssSha512 => Algorithm::RsaPssSha512,
        SignatureAlgorithm::RsaV15Sha256 => Algorithm::RsaV15Sha256,
    };
    let made = match (&key.secret, &key.public_key) {
        (Some(secret), _) => {
            let secret = match secret.strip_prefix(STORED) {
                Some(fingerprint) => stored(fingerprint)?,
                None => secret.clone(),
            };
            SigningKey::secret(&secret)
        }
        (None, Some(pem)) => SigningKey::public(algorithm, pem),
        (None, None) => return Err("it has neither a secret nor a public key".to_owned()),
    };
    made.map_err(|error| error.to_string())
}

/// What is wrong with signing keys that only who knows cryptography can tell.
pub fn check_signing_keys(model: &Model, stored: Stored<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, consumer) in &model.consumers {
        for (index, key) in consumer.signing_keys.iter().enumerate() {
            let Err(message) = signing_key(key, stored) else { continue };
            problems.push(Problem {
                code: ProblemCode::Invalid,
                path: format!("consumers.{name}.signing_keys[{index}]"),
                message: format!("this key cannot be used: {message}"),
                help: Some("give the secret, or the public key in PEM form, once more".to_owned()),
                line: None,
                column: None,
            });
        }
    }
    problems
}

fn credential(ids: &mut HashMap<Arc<str>, u32>, key: &Issued) -> Credential {
    let consumer = id_of(ids, key.consumer.as_str());
    Credential { hash: key.hash, consumer, expires_s: key.expires_s.unwrap_or(0) }
}

fn id_of(ids: &mut HashMap<Arc<str>, u32>, name: &str) -> u32 {
    if let Some(id) = ids.get(name) {
        return *id;
    }
    let id = u32::try_from(ids.len()).unwrap_or(u32::MAX);
    ids.insert(name.into(), id);
    id
}

/// A hash as the model writes it: 64 hexadecimal digits.
pub fn parse_hash(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    if text.len() != hash.len() * 2 {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(hash)
}
