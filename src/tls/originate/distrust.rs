// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why an endpoint is not trusted, or why it did not shake hands: one sentence for the operator, made where the
//! certificate is still at hand.

use std::io;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, CertificateError, Error, OtherError};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Names of a certificate that a sentence lists.
const NAMES_SHOWN: usize = 4;

/// A sentence on its way through rustls.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Distrust(String);

impl Distrust {
    /// What webpki found, in words.
    pub(super) fn of(error: Error, certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> Error {
        let Error::InvalidCertificate(found) = &error else { return error };
        let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return error };
        let date = |time: x509_parser::time::ASN1Time| jiff::Timestamp::from_second(time.timestamp());
        let date =
            |time| date(time).map_or_else(|_| "?".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string());
        let sentence = match found {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("its certificate expired on {}", date(parsed.validity().not_after))
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                format!("its certificate is not valid before {}", date(parsed.validity().not_before))
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("its certificate is for {}, not {}", names(&parsed), name.to_str())
            }
            CertificateError::UnknownIssuer => {
                format!("its certificate is signed by nobody we trust (the issuer is \"{}\")", parsed.issuer())
            }
            CertificateError::Revoked => "its certificate is revoked".to_owned(),
            _ if parsed.is_ca() => {
                "its certificate is one of an authority: give the endpoint one of a server, signed by that authority"
                    .to_owned()
            }
            other => format!("its certificate is not acceptable: {other}"),
        };
        Self::error(sentence)
    }

    /// None of the pinned keys was seen.
    pub(super) fn unpinned(own: Option<String>) -> Error {
        let own = own.unwrap_or_else(|| "unreadable".to_owned());
        Self::error(format!("its key is none of the pinned ones (the pin of its own would be \"{own}\")"))
    }

    fn error(sentence: String) -> Error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Self(sentence)))))
    }
}

fn names(certificate: &X509Certificate<'_>) -> String {
    let san = certificate.subject_alternative_name().ok().flatten();
    let all = san.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
            (Ok(v4), _) => Some(std::net::Ipv4Addr::from(v4).to_string()),
            (_, Ok(v6)) => Some(std::net::Ipv6Addr::from(v6).to_string()),
            _ => None,
        },
        _ => None,
    };
    let mut names: Vec<String> = all.iter().filter_map(text).collect();
    if names.len() > NAMES_SHOWN {
        let more = names.len() - NAMES_SHOWN;
        names.truncate(NAMES_SHOWN);
        names.push(format!("{more} more"));
    }
    if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") }
}

/// Why a handshake failed.
pub fn explain(error: &io::Error) -> String {
    let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => "it closed the connection during the TLS handshake".to_owned(),
            io::ErrorKind::ConnectionReset => "it reset the connection during the TLS handshake".to_owned(),
            _ => format!("the TLS handshake failed: {error}"),
        };
    };
    match inner {
        Error::InvalidCertificate(CertificateError::Other(OtherError(sentence))) => sentence.to_string(),
        Error::InvalidMessage(_) => "it does not speak TLS".to_owned(),
        Error::AlertReceived(alert) => alert_sentence(*alert),
        other => format!("the TLS handshake failed: {other}"),
    }
}

/// What an endpoint says by ending a handshake.
fn alert_sentence(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => "it asks for a client certificate, and there is none".to_owned(),
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked => format!("it does not accept our client certificate ({alert:?})"),
        AlertDescription::NoApplicationProtocol => "it speaks another protocol than ours (ALPN)".to_owned(),
        AlertDescription::UnrecognisedName => "it does not know the server name".to_owned(),
        AlertDescription::ProtocolVersion => "it speaks no version of TLS that we speak".to_owned(),
        other => format!("it ended the TLS handshake ({other:?})"),
    }
}

/// Whether a read failed because the endpoint refused us at the end of the handshake: in TLS 1.3 it looks at our
/// certificate only after we are done, and nothing that we sent was read as a request.
pub fn refusal(error: &io::Error) -> Option<String> {
    match error.get_ref()?.downcast_ref::<Error>()? {
        Error::AlertReceived(alert) => Some(alert_sentence(*alert)),
        _ => None,
    }
}
