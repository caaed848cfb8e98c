// SPDX-License-Identifier: MIT OR Apache-2.0
//! What may be typed after `top`, `tail` and `explain`: which traffic is meant, and which request.

use std::net::IpAddr;

use clap::Args as Group;

#[derive(Clone, Debug, Group)]
pub struct TopArgs {
    /// Print one second and end
    #[arg(long)]
    pub once: bool,
    /// Rows per table
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 10)]
    pub rows: usize,
}

#[derive(Clone, Debug, Default, Group)]
pub struct TailArgs {
    /// Only exchanges of this route
    #[arg(long, value_name = "NAME")]
    pub route: Option<String>,
    /// Only this status, such as 404 or 5xx
    #[arg(long, value_name = "STATUS", value_parser = status)]
    pub status: Option<String>,
    /// Only exchanges of this consumer
    #[arg(long, value_name = "NAME")]
    pub consumer: Option<String>,
    /// Only exchanges that went to this upstream
    #[arg(long, value_name = "NAME")]
    pub upstream: Option<String>,
    /// Only exchanges that weirgate or an endpoint failed: any fault, and status 500 and above
    #[arg(long)]
    pub failed: bool,
    /// End after so many
    #[arg(long, short = 'n', value_name = "COUNT")]
    pub count: Option<u64>,
}

fn status(text: &str) -> Result<String, String> {
    let lower = text.to_ascii_lowercase();
    let fits = matches!(lower.as_bytes(), [b'1'..=b'5', b, c]
        if (b.is_ascii_digit() && c.is_ascii_digit()) || (*b == b'x' && *c == b'x'));
    if fits { Ok(lower) } else { Err("write a status such as 404, or a class such as 5xx".to_owned()) }
}

#[derive(Clone, Debug, Group)]
pub struct ExplainArgs {
    /// Such as GET
    pub method: String,
    /// Such as <http://api.example.com/orders>
    pub url: String,
    /// A header field of the request; may be repeated
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE", value_parser = field)]
    pub headers: Vec<(String, String)>,
    /// Address of the client
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub client: IpAddr,
}

fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write it as 'Name: value'")?;
    let name = name.trim();
    if name.is_empty() {
        return Err("the name before the colon is empty".to_owned());
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}
