// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a client certificate says, read once for its connection. Whether it is trusted was decided before.

/// The first certificate of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// SHA-256 of its DER form.
    pub fingerprint: [u8; 32],
    /// Such as `CN=alice, O=Example`, in the order of the certificate; special characters after a backslash
    /// (RFC 4514 section 2.4).
    pub subject: String,
    /// Its alternative names: DNS names in lower case, addresses, e-mail addresses and URIs.
    pub names: Vec<String>,
    /// In hexadecimal digits.
    pub serial: String,
    /// End of validity, seconds since 1970 UTC.
    pub not_after_s: i64,
}

impl ClientCertificate {
    /// The fingerprint as 64 digits.
    pub fn fingerprint_hex(&self) -> String {
        self.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
