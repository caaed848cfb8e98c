// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be wrong with a policy before it ever sees a request. `config` adds the object and the field.

/// Why a policy cannot be built, as a sentence for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    #[error("burst must be between 1 and {max}")]
    Burst { max: u32 },
    #[error("\"{0}\" cannot be a cookie name")]
    CookieName(String),
    #[error("\"{0}\" cannot be a header name: letters, digits and hyphens, not empty")]
    HeaderName(String),
    #[error("the value of {0} holds a control character, or begins or ends with a space")]
    HeaderValue(String),
    #[error("no header, query parameter or cookie is named where the key could be")]
    NoSource,
    #[error("{0} cannot be changed here: weirgate itself decides it, because it frames or directs the message")]
    Reserved(String),
    #[error("the rate must be more than nothing and at most one request per nanosecond")]
    Rate,
    #[error("\"{text}\": {why}")]
    Template { text: String, why: String },
    #[error("a quota is 1 to {max} requests")]
    Requests { max: u64 },
    #[error("more than {max} {what}")]
    TooMany { what: &'static str, max: usize },
}
