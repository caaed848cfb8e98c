// SPDX-License-Identifier: MIT OR Apache-2.0
//! Secrets at rest: the key that API keys are hashed with, and the private keys of certificates.
//!
//! Both are plain files of mode 0600 beside the records and not in them, so that a store rebuilt from text still
//! knows every consumer and every certificate. A model that went through [`Keyring::seal`] holds no secret.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::password::{NotHashed, Passwords};
use crate::model::{ApiKey, Model, PEM, Policy, PolicyRef, STORED, Secret};
use crate::parse::place::quoted;
use crate::wire::{Problem, ProblemCode};

/// Bytes of the hashing key.
const KEY_BYTES: usize = 32;

/// Characters of an API key that are kept to recognise it by.
const PREFIX_CHARS: usize = 8;

/// Hexadecimal digits of a private key's fingerprint.
const FINGERPRINT_DIGITS: usize = 32;

/// The hashing key, and where private keys are kept.
pub struct Keyring {
    key: [u8; KEY_BYTES],
    /// `keys/` in the state directory; none if that cannot be used.
    dir: Option<PathBuf>,
    passwords: Passwords,
}

impl std::fmt::Debug for Keyring {
    /// Never prints the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Keyring {
    /// The keyring of a state directory, made if there is none.
    ///
    /// # Errors
    /// When the file cannot be read or made, or is no key.
    pub(super) fn open(state: &Path) -> std::io::Result<Self> {
        let path = state.join("keyring");
        let dir = Some(state.join("keys"));
        match std::fs::read(&path) {
            Ok(bytes) => {
                let key = <[u8; KEY_BYTES]>::try_from(bytes).map_err(|_| {
                    let message = "the file keyring has not 32 bytes; restore it from a backup, or remove it and issue every key anew";
                    std::io::Error::new(ErrorKind::InvalidData, message)
                })?;
                Ok(Self::of(key, dir))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let key = random()?;
                write_durably(&path, &key)?;
                Ok(Self::of(key, dir))
            }
            Err(error) => Err(error),
        }
    }

    /// A keyring that lasts as long as the process.
    ///
    /// # Errors
    /// When the system has no random source.
    pub(super) fn in_memory() -> std::io::Result<Self> {
        Ok(Self::of(random()?, None))
    }

    fn of(key: [u8; KEY_BYTES], dir: Option<PathBuf>) -> Self {
        Self { key, dir, passwords: Passwords::default() }
    }

    /// Keyed BLAKE3. Whoever reads the records without the keyring cannot test guesses of a key.
    pub fn hash_key(&self, secret: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.key, secret).as_bytes()
    }

    /// What [`Keyring::hash_key`] is keyed with, for a reader that hashes on its own threads. Never print or store it.
    pub fn hash_secret(&self) -> [u8; 32] {
        self.key
    }

    /// Puts hashes and stored keys in place of all secrets in a model.
    pub fn seal(&self, model: &mut Model) -> Vec<Problem> {
        for key in model.consumers.values_mut().flat_map(|consumer| &mut consumer.api_keys) {
            self.seal_api_key(key);
        }
        let mut problems = self.seal_passwords(model);
        problems.extend(self.seal_signing_keys(model));
        for (name, certificate) in &mut model.certificates {
            let pem = certificate.key.0.trim_start();
            if !pem.starts_with(PEM) {
                continue;
            }
            match self.keep(pem.as_bytes()) {
                Ok(fingerprint) => certificate.key.0 = format!("{STORED}{fingerprint}"),
                Err(error) => problems.push(Problem {
                    code: ProblemCode::Environment,
                    path: format!("certificates.{}.key", quoted(name.as_str())),
                    message: format!("the private key cannot be kept: {error}"),
                    help: Some("see that the state directory can be written and has room".to_owned()),
                    line: None,
                    column: None,
                }),
            }
        }
        for (path, secret) in secrets(model) {
            if secret.stored().is_some() {
                continue;
            }
            match self.keep(secret.0.as_bytes()) {
                Ok(fingerprint) => secret.0 = format!("{STORED}{fingerprint}"),
                Err(error) => problems.push(Problem {
                    code: ProblemCode::Environment,
                    path,
                    message: format!("the secret cannot be kept: {error}"),
                    help: Some("see that the state directory can be written and has room".to_owned()),
                    line: None,
                    column: None,
                }),
            }
        }
        problems
    }

    /// Puts shared secrets of signatures into the state directory, where private keys are: they have to be known again.
    fn seal_signing_keys(&self, model: &mut Model) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (name, consumer) in &mut model.consumers {
            for (index, key) in consumer.signing_keys.iter_mut().enumerate() {
                let Some(secret) = key.secret.as_mut().filter(|secret| !secret.starts_with(STORED)) else { continue };
                match self.keep(secret.as_bytes()) {
                    Ok(fingerprint) => *secret = format!("{STORED}{fingerprint}"),
                    Err(error) => problems.push(Problem {
                        code: ProblemCode::Environment,
                        path: format!("consumers.{}.signing_keys[{index}].secret", quoted(name.as_str())),
                        message: format!("the secret cannot be kept: {error}"),
                        help: Some("see that the state directory can be written and has room".to_owned()),
                        line: None,
                        column: None,
                    }),
                }
            }
        }
        problems
    }

    /// Puts hashes in place of passwords.
    fn seal_passwords(&self, model: &mut Model) -> Vec<Problem> {
        let (mut made, mut problems) = (0, Vec::new());
        for (name, consumer) in &mut model.consumers {
            for (index, credential) in consumer.basic.iter_mut().enumerate() {
                let Err(why) = self.passwords.seal(&self.key, credential, &mut made) else { continue };
                let help = match why {
                    NotHashed::TooMany => "apply some of them first, then the others; or write their hashes",
                    NotHashed::Failed(_) => "see that the system has memory left",
                };
                problems.push(Problem {
                    code: ProblemCode::Environment,
                    path: format!("consumers.{}.basic[{index}].password", quoted(name.as_str())),
                    message: why.to_string(),
                    help: Some(help.to_owned()),
                    line: None,
                    column: None,
                });
                if why == NotHashed::TooMany {
                    return problems;
                }
            }
        }
        problems
    }

    fn seal_api_key(&self, key: &mut ApiKey) {
        if let Some(secret) = key.secret.take() {
            key.hash = Some(hex(&self.hash_key(secret.as_bytes())));
            key.prefix = Some(prefix(&secret));
        }
    }

    /// Keeps a secret, and gives the name by which a model holds it.
    fn keep(&self, secret: &[u8]) -> std::io::Result<String> {
        let fingerprint: String = hex(&self.hash_key(secret)).chars().take(FINGERPRINT_DIGITS).collect();
        let Some(dir) = &self.dir else {
            return Err(std::io::Error::other("there is no state directory"));
        };
        let path = dir.join(format!("{fingerprint}.pem"));
        if !path.exists() {
            make_dir(dir)?;
            write_durably(&path, secret)?;
        }
        Ok(fingerprint)
    }

    /// The text of a stored private key or other secret.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn private_key(&self, fingerprint: &str) -> std::io::Result<String> {
        let plain = !fingerprint.is_empty() && fingerprint.bytes().all(|b| b.is_ascii_hexdigit());
        match &self.dir {
            Some(dir) if plain => std::fs::read_to_string(dir.join(format!("{fingerprint}.pem"))),
            _ => Err(std::io::Error::new(ErrorKind::NotFound, "there is no such stored key")),
        }
    }
}

/// Every secret of a policy with its place.
fn secrets(model: &mut Model) -> Vec<(String, &mut Secret)> {
    let named = model.policies.iter_mut().map(|(name, policy)| (format!("policies.{}", quoted(name.as_str())), policy));
    let written = model.routes.iter_mut().flat_map(|(name, route)| {
        route.policies.iter_mut().enumerate().filter_map(move |(at, policy)| match policy {
            PolicyRef::Inline(policy) => Some((format!("routes.{}.policies[{at}]", quoted(name.as_str())), policy)),
            PolicyRef::Named(_) => None,
        })
    });
    named.chain(written).filter_map(|(path, policy)| secret_of(&path, policy)).collect()
}

fn secret_of<'m>(path: &str, policy: &'m mut Policy) -> Option<(String, &'m mut Secret)> {
    match policy {
        Policy::Jwt(jwt) => jwt.secret.as_mut().map(|secret| (format!("{path}.jwt.secret"), secret)),
        Policy::OAuth2(oauth2) => Some((format!("{path}.oauth2.client_secret"), &mut oauth2.client_secret)),
        _ => None,
    }
}

/// The first characters of an API key.
pub(super) fn prefix(secret: &str) -> String {
    secret.chars().take(PREFIX_CHARS).collect()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

/// What [`hex`] wrote.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    // `from_str_radix` would take a sign.
    if !text.len().is_multiple_of(2) || !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return None;
    }
    let digits = |index| text.get(index..index + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    (0..text.len()).step_by(2).map(digits).collect()
}

/// 256 bits nobody can guess.
pub(super) fn random() -> std::io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(bytes)
}

/// Makes a directory that only we can read, and its parents.
pub(super) fn make_dir(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Writes a file as a whole: after a crash there is the old one or the new one, and after this call the new one.
pub(super) fn write_durably(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let dir = path.parent().ok_or_else(|| std::io::Error::other("a file without a directory"))?;
    let temporary = path.with_extension("tmp");
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::Keyring;
    use crate::parse::parse_toml;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_sealed_model_holds_no_secret_and_the_keyring_gives_the_same_hash_again() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let keyring = Keyring::open(dir.path()).expect("it can be made");
        let text = "[certificates.c]\nchain = \"-----BEGIN A\"\nkey = \"-----BEGIN PRIVATE KEY\\nsecret-pem\"\n[consumers.a]\napi_keys = [{ secret = \"0123456789abcdef\" }]\n\
            [policies.p]\njwt = { secret = \"0123456789abcdef0123456789abcdef\" }\n\
            [upstreams.u]\nendpoints = []\n[routes.r]\nupstream = \"u\"\n\
            policies = [{ oauth2 = { introspection_url = \"https://id/\", client_id = \"w\", client_secret = \"hush-hush\" } }]\n";
        let mut model = parse_toml(text).expect("it is valid");
        assert_eq!(keyring.seal(&mut model), []);
        let sealed = crate::text::to_toml(&model);
        assert!(
            !sealed.contains("0123456789abcdef") && !sealed.contains("hush-hush") && !sealed.contains("secret-pem"),
            "{sealed}"
        );
        let again = Keyring::open(dir.path()).expect("it is there");
        assert_eq!(keyring.hash_key(b"x"), again.hash_key(b"x"));
        let certificate = model.certificates.get("c").expect("it stays");
        let fingerprint = certificate.key.stored().expect("it was sealed");
        assert!(again.private_key(fingerprint).is_ok_and(|pem| pem.contains("secret-pem")));
        assert!(again.private_key("../keyring").is_err());
        for path in ["keyring".to_owned(), format!("keys/{fingerprint}.pem")] {
            let mode = std::fs::metadata(dir.path().join(&path)).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "row {path}");
        }
        let before = model.clone();
        assert_eq!(keyring.seal(&mut model), []);
        assert_eq!(model, before);
    }
}
