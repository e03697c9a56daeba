//! Succeeds when a request is answered as wanted.
//!
//! Each check makes a connection of its own, so that it tells whether a new client would be
//! served. A redirect is an answer like any other.

use std::error::Error as _;
use std::fmt::Write as _;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use regex::bytes::Regex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::rustls::pki_types::ServerName;

use super::connect::connect;
use super::{ProbeError, ProbeResult, tls};
use crate::domain::spec::{HttpCheck, StatusRange};

/// How much of a body is looked at, in bytes.
const BODY_LIMIT: usize = 1 << 20;

/// A request that is ready to be made.
#[derive(Clone, Debug)]
pub(super) struct HttpProbe {
    host: String,
    port: u16,
    /// Whose certificate it is to be, where the connection is secure.
    secure: Option<ServerName<'static>>,
    request: Request<Empty<Bytes>>,
    status: Vec<StatusRange>,
    body: Option<Regex>,
}

impl HttpProbe {
    pub fn new(check: &HttpCheck) -> Result<Self, ProbeError> {
        let uri: Uri = (check.url.parse())
            .map_err(|error| ProbeError::Url(format!("{}: {error}", check.url)))?;
        let is_secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(ProbeError::Url(check.url.clone())),
        };
        let host = uri.host().unwrap_or_default().to_owned();
        if host.is_empty() {
            return Err(ProbeError::Url(check.url.clone()));
        }
        let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let secure = match is_secure {
            true => {
                Some(tls::server_name(&host).ok_or_else(|| ProbeError::Url(check.url.clone()))?)
            }
            false => None,
        };
        let method: Method =
            (check.method.parse()).map_err(|_| ProbeError::Request(check.method.clone()))?;
        let target = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in &check.headers {
            request = request.header(name, value);
        }
        let mut request =
            (request.body(Empty::new())).map_err(|error| ProbeError::Request(error.to_string()))?;
        let authority = match uri.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.clone(),
        };
        let authority = HeaderValue::from_str(&authority)
            .map_err(|error| ProbeError::Request(error.to_string()))?;
        let headers = request.headers_mut();
        headers.entry(HOST).or_insert(authority);
        (headers.entry(USER_AGENT)).or_insert(HeaderValue::from_static("pk-probe"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        Ok(Self {
            host,
            port,
            secure,
            request,
            status: check.status.clone(),
            body: (check.body.as_ref())
                .map(|pattern| Regex::new(&pattern.0))
                .transpose()?,
        })
    }

    pub async fn check(&self) -> ProbeResult {
        match self.ask().await {
            Ok(()) => ProbeResult::Success,
            Err(reason) => ProbeResult::Failure(reason),
        }
    }

    async fn ask(&self) -> Result<(), String> {
        let stream = connect(&self.host, self.port).await?;
        let Some(name) = self.secure.clone() else {
            return self.ask_over(stream).await;
        };
        let is_local = stream.peer_addr().is_ok_and(|peer| {
            let address = peer.ip().to_canonical();
            address.is_loopback()
        });
        self.ask_over(tls::secure(stream, name, is_local).await?)
            .await
    }

    async fn ask_over(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<(), String> {
        let (mut sender, connection) =
            (http1::handshake(TokioIo::new(stream)).await).map_err(|error| words(&error))?;
        let answer = async move {
            let response = sender.send_request(self.request.clone()).await;
            self.judge(response.map_err(|error| words(&error))?).await
        };
        tokio::pin!(answer, connection);
        tokio::select! {
            biased;
            answer = &mut answer => answer,
            // What came before the end of the connection is still to be looked at.
            _ = &mut connection => answer.await,
        }
    }

    async fn judge(&self, response: Response<Incoming>) -> Result<(), String> {
        let status = response.status();
        if !(self.status.iter()).any(|range| range.contains(status.as_u16())) {
            let mut wanted = String::new();
            for range in &self.status {
                let _ = write!(
                    wanted,
                    "{}{range}",
                    if wanted.is_empty() { "" } else { ", " }
                );
            }
            return Err(format!("answered {status}, wanted {wanted}"));
        }
        let Some(pattern) = &self.body else {
            return Ok(());
        };
        let body = body(response.into_body()).await?;
        if pattern.is_match(&body) {
            return Ok(());
        }
        Err(format!(
            "answered {status}, but its body does not match `{pattern}`"
        ))
    }
}

async fn body(mut incoming: Incoming) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| words(&error))?;
        if let Some(data) = frame.data_ref() {
            body.extend_from_slice(&data[..data.len().min(BODY_LIMIT - body.len())]);
        }
        if body.len() == BODY_LIMIT {
            break;
        }
    }
    Ok(body)
}

fn words(error: &hyper::Error) -> String {
    if error.is_incomplete_message() {
        return "the connection was closed without an answer".to_owned();
    }
    if error.is_parse() {
        return "what answers does not speak HTTP".to_owned();
    }
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
