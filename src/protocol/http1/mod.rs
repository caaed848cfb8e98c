// SPDX-License-Identifier: MIT OR Apache-2.0
//! HTTP/1.1 on the wire (RFC 9112): heads, framing and bodies, for both the client and the endpoint side.
