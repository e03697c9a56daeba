//! Who may ask over TCP, and for what.
//!
//! Every process and every web page of this machine reaches a port of TCP. So each request
//! must name an address that nobody else can give a name to (a page whose own name was made
//! to point here is turned away), must not come from a page of elsewhere, and must show the
//! token.
//!
//! ```text
//!  Host ─► Origin ─► token ─► reads only? ─► routes
//! ```

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use subtle::ConstantTimeEq as _;

use super::protocol::{ErrorCode, Problem};
use super::routes;

/// What a client has to know.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl Token {
    pub(super) fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Takes as long for a wrong token as for the right one.
    pub(super) fn is(&self, shown: &[u8]) -> bool {
        bool::from(self.0.as_bytes().ct_eq(shown))
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(***)")
    }
}

/// What a request must be to come through.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    pub site: Site,
    pub token: Token,
    pub read_only: bool,
}

/// Lets through what may come through.
pub(super) async fn guard(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match gate.check(&parts) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    }
}

impl Gate {
    fn check(&self, parts: &Parts) -> Result<(), Problem> {
        self.site.check(parts)?;
        self.token(&parts.headers)?;
        if self.read_only && !routes::reads(&parts.method, parts.uri.path()) {
            let message = "this address is for reading only";
            return Err(Problem::new(ErrorCode::ReadOnly, message)
                .hint("the socket of the stack takes it, as `pk restart` and the like do"));
        }
        Ok(())
    }

    fn token(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let shown = headers.get_all(header::AUTHORIZATION).iter();
        let mut shown = shown.filter_map(|value| {
            let (scheme, token) = value.as_bytes().split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
        });
        match (shown.next(), shown.next()) {
            (Some(token), None) if self.token.is(token.trim_ascii()) => Ok(()),
            _ => Err(
                Problem::new(ErrorCode::Unauthorized, "the token of this stack is needed").hint(
                    "send `Authorization: Bearer TOKEN`; `pk ps --output json` names the file that \
                 holds it, under `listen`",
                ),
            ),
        }
    }
}

/// An address of TCP, and who is of the same site.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    /// Where it listens.
    pub address: SocketAddr,
}

impl Site {
    /// Turns away pages of elsewhere, also those whose own name was made to point here.
    pub(super) fn check(&self, parts: &Parts) -> Result<(), Problem> {
        let host = self.host(parts)?;
        self.origin(&parts.headers, &host)
    }

    /// As whom the client addresses this server.
    fn host(&self, parts: &Parts) -> Result<Authority, Problem> {
        let refused = |message: &str| {
            Problem::new(ErrorCode::Forbidden, message)
                .hint(format!("ask for http://{}", self.address))
        };
        let named = one(&parts.headers, &header::HOST)
            .map_err(|()| refused("a request needs one `Host`, and has several"))?
            .ok_or_else(|| refused("a request needs a `Host`"))?;
        let host: Authority = named
            .parse()
            .map_err(|_| refused("the `Host` of the request is none"))?;
        let asked = parts.uri.authority().unwrap_or(&host);
        if self.knows(&host) && self.knows(asked) {
            Ok(host)
        } else {
            Err(refused("the `Host` of the request is not this address"))
        }
    }

    /// A name can be made to point anywhere by whoever owns it, an address cannot.
    fn knows(&self, host: &Authority) -> bool {
        // Who has a user's name in there wants to look like something else.
        if host.as_str().contains('@') {
            return false;
        }
        let name = host.host();
        if name.eq_ignore_ascii_case("localhost") {
            return true;
        }
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let Ok(ip) = bare.parse::<IpAddr>() else {
            return false;
        };
        let own = self.address.ip();
        own.is_unspecified() || ip == own || ip.is_loopback()
    }

    /// Browsers say from which page a request comes; nobody else says so.
    fn origin(&self, headers: &HeaderMap, host: &Authority) -> Result<(), Problem> {
        let origin = one(headers, &header::ORIGIN);
        let own = |origin: &str| {
            let name = origin.strip_prefix("http://");
            name.is_some_and(|name| name.eq_ignore_ascii_case(host.as_str()))
        };
        match origin {
            Ok(None) => Ok(()),
            Ok(Some(origin)) if own(origin) => Ok(()),
            Ok(Some(_)) | Err(()) => Err(Problem::new(
                ErrorCode::Forbidden,
                "a web page of elsewhere may not ask this",
            )),
        }
    }
}

/// The only value of that name; an error: there are several, or it is no text.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ()> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(());
    }
    value.to_str().map(Some).map_err(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(address: &str) -> Gate {
        Gate {
            site: Site {
                address: address.parse().unwrap(),
            },
            token: Token::new("0123456789abcdef"),
            read_only: false,
        }
    }

    fn verdict(gate: &Gate, uri: &str, headers: &[(&str, &str)]) -> Option<ErrorCode> {
        let mut request = axum::http::Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        gate.check(&parts).err().map(|problem| problem.code)
    }

    const RIGHT: (&str, &str) = ("authorization", "Bearer 0123456789abcdef");

    #[test]
    fn only_addresses_of_this_machine_are_answered() {
        let gate = gate("127.0.0.1:4000");
        let refused = Some(ErrorCode::Forbidden);
        for (host, expected) in [
            ("127.0.0.1:4000", None),
            ("127.0.0.1", None),
            ("127.0.0.2:4000", None),
            ("[::1]:4000", None),
            ("localhost:4000", None),
            ("LocalHost", None),
            ("localhost.evil.example", refused),
            ("evil.example:4000", refused),
            ("127.0.0.1.nip.io", refused),
            ("192.168.1.2:4000", refused),
            ("0.0.0.0:4000", refused),
            ("user@localhost", refused),
            ("2130706433", refused),
            ("", refused),
            ("local host", refused),
        ] {
            assert_eq!(
                verdict(&gate, "/", &[("host", host), RIGHT]),
                expected,
                "{host}"
            );
        }
        assert_eq!(verdict(&gate, "/", &[RIGHT]), refused);
        let twice = [("host", "localhost"), ("host", "localhost"), RIGHT];
        assert_eq!(verdict(&gate, "/", &twice), refused);
        // What stands in the request's line counts, too.
        let elsewhere = "http://evil.example/v1/state";
        assert_eq!(
            verdict(&gate, elsewhere, &[("host", "localhost"), RIGHT]),
            refused
        );
    }

    #[test]
    fn what_listens_everywhere_has_every_address_and_no_name() {
        let gate = gate("0.0.0.0:4000");
        for (host, expected) in [
            ("192.168.1.2:4000", None),
            ("localhost", None),
            ("evil.example", Some(ErrorCode::Forbidden)),
        ] {
            assert_eq!(
                verdict(&gate, "/", &[("host", host), RIGHT]),
                expected,
                "{host}"
            );
        }
    }

    #[test]
    fn pages_of_elsewhere_are_turned_away() {
        let gate = gate("127.0.0.1:4000");
        let refused = Some(ErrorCode::Forbidden);
        for (origin, expected) in [
            ("http://localhost:4000", None),
            ("http://localhost:3000", refused),
            ("https://localhost:4000", refused),
            ("http://evil.example", refused),
            ("null", refused),
            ("", refused),
        ] {
            let headers = [("host", "localhost:4000"), ("origin", origin), RIGHT];
            assert_eq!(verdict(&gate, "/", &headers), expected, "{origin}");
        }
    }

    #[test]
    fn the_token_has_to_be_the_right_one() {
        let gate = gate("127.0.0.1:4000");
        let refused = Some(ErrorCode::Unauthorized);
        for (shown, expected) in [
            ("Bearer 0123456789abcdef", None),
            ("bearer 0123456789abcdef", None),
            ("Bearer 0123456789abcdeF", refused),
            ("Bearer 0123456789abcde", refused),
            ("Bearer 0123456789abcdef0", refused),
            ("Bearer ", refused),
            ("Bearer", refused),
            ("Basic 0123456789abcdef", refused),
            ("0123456789abcdef", refused),
            ("", refused),
        ] {
            let headers = [("host", "localhost"), ("authorization", shown)];
            assert_eq!(verdict(&gate, "/", &headers), expected, "{shown}");
        }
        assert_eq!(verdict(&gate, "/", &[("host", "localhost")]), refused);
        let twice = [("host", "localhost"), RIGHT, RIGHT];
        assert_eq!(verdict(&gate, "/", &twice), refused);
        assert_eq!(format!("{:?}", gate.token), "Token(***)");
    }
}
