//! Requests over the socket, and their answers: one connection each, or one that is kept.
//!
//! This module owns how a request is sent and its answer read. It must not know what any of
//! them means.

use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::protocol::Problem;

/// The largest answer that is read.
const MAX_ANSWER: usize = 256 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Nobody listens, or no longer.
    #[error("the stack is no longer there")]
    Gone,
    /// Somebody listens and does not answer.
    #[error("the pk that runs the stack does not answer (is it stopped, by Ctrl-Z perhaps?)")]
    Silent,
    #[error("the running stack says: {}", .0.message)]
    Refused(Box<Problem>),
    #[error("the answer of the running stack cannot be understood: {0}")]
    Garbled(String),
}

/// How long a connection may take. The backlog of a listener that is full is waited for.
const CONNECT: Duration = Duration::from_secs(10);

/// How long the head of an answer may take, beyond what a query itself asks to wait for. A pk
/// that is stopped by a signal accepts connections and says nothing.
const ANSWER: Duration = Duration::from_secs(10);

/// What the query says of how long it may take: `wait=10s`.
fn asked_to_wait(path: &str) -> Duration {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let wait = query.split('&').find_map(|part| part.strip_prefix("wait="));
    wait.and_then(|wait| crate::domain::text::parse_duration(wait).ok())
        .unwrap_or_default()
}

/// A connection for one request after the other.
#[derive(Debug)]
pub struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
}

impl Connection {
    /// To whoever listens there.
    ///
    /// # Errors
    /// [`WireError::Gone`].
    pub async fn open(socket: &Path) -> Result<Self, WireError> {
        let connect = UnixStream::connect(socket);
        let stream = tokio::time::timeout(CONNECT, connect)
            .await
            .map_err(|_| WireError::Gone)?
            .map_err(|_| WireError::Gone)?;
        Self::over(stream).await
    }

    /// Over a stream whose other end is served.
    ///
    /// # Errors
    /// [`WireError::Gone`].
    pub async fn through(stream: StdStream) -> Result<Self, WireError> {
        let stream = (stream.set_nonblocking(true))
            .and_then(|()| UnixStream::from_std(stream))
            .map_err(|_| WireError::Gone)?;
        Self::over(stream).await
    }

    async fn over(stream: UnixStream) -> Result<Self, WireError> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|_| WireError::Gone)?;
        // Ends with the last answer, or when that is no longer wanted.
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    /// The answer to a body.
    ///
    /// # Errors
    /// See [`WireError`].
    pub async fn post<T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, WireError> {
        read(send(self, Method::POST, path, written(body)?).await?).await
    }
}

fn written(body: &impl Serialize) -> Result<Vec<u8>, WireError> {
    serde_json::to_vec(body).map_err(|error| WireError::Garbled(error.to_string()))
}

async fn send(
    connection: &mut Connection,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> Result<Response<Incoming>, WireError> {
    let sender = &mut connection.sender;
    if sender.ready().await.is_err() {
        return Err(WireError::Gone);
    }
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "pk")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| WireError::Garbled(error.to_string()))?;
    let limit = ANSWER + asked_to_wait(path);
    let response = tokio::time::timeout(limit, sender.send_request(request))
        .await
        .map_err(|_| WireError::Silent)?
        .map_err(|_| WireError::Gone)?;
    if response.status() == StatusCode::OK {
        return Ok(response);
    }
    let text = collect(response).await?;
    match serde_json::from_slice::<Problem>(&text) {
        Ok(problem) => Err(WireError::Refused(Box::new(problem))),
        Err(error) => Err(WireError::Garbled(error.to_string())),
    }
}

async fn collect(response: Response<Incoming>) -> Result<Bytes, WireError> {
    let body = http_body_util::Limited::new(response.into_body(), MAX_ANSWER);
    match body.collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            Err(WireError::Garbled("it is too long".to_owned()))
        }
        Err(_) => Err(WireError::Gone),
    }
}

async fn read<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T, WireError> {
    let text = collect(response).await?;
    serde_json::from_slice(&text).map_err(|error| WireError::Garbled(error.to_string()))
}

/// What is under a path.
///
/// # Errors
/// See [`WireError`].
pub async fn get<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<T, WireError> {
    let mut connection = Connection::open(socket).await?;
    read(send(&mut connection, Method::GET, path, Vec::new()).await?).await
}

/// The answer to a body.
///
/// # Errors
/// See [`WireError`].
pub async fn post<T: DeserializeOwned>(
    socket: &Path,
    path: &str,
    body: &impl Serialize,
) -> Result<T, WireError> {
    Connection::open(socket).await?.post(path, body).await
}

/// A stream of server-sent events.
#[derive(Debug)]
pub struct EventStream {
    body: Incoming,
    /// Read and not yet taken.
    text: Vec<u8>,
}

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub name: String,
    pub id: String,
    pub data: String,
}

impl EventStream {
    /// Begins to listen: what happens from now on is in the stream.
    ///
    /// # Errors
    /// See [`WireError`].
    pub async fn open(socket: &Path, path: &str) -> Result<Self, WireError> {
        Self::through(Connection::open(socket).await?, path).await
    }

    /// The same over a connection, which it takes for itself.
    ///
    /// # Errors
    /// See [`WireError`].
    pub async fn through(mut connection: Connection, path: &str) -> Result<Self, WireError> {
        let response = send(&mut connection, Method::GET, path, Vec::new()).await?;
        Ok(Self {
            body: response.into_body(),
            text: Vec::new(),
        })
    }

    /// The next event; `None`: the stream has ended.
    pub async fn next(&mut self) -> Option<Event> {
        // Where the search for the end of the event goes on.
        let mut searched: usize = 0;
        loop {
            let from = searched.saturating_sub(1);
            if let Some(end) = memchr::memmem::find(&self.text[from..], b"\n\n") {
                let rest = self.text.split_off(from + end + 2);
                let text = std::mem::replace(&mut self.text, rest);
                searched = 0;
                match event(&String::from_utf8_lossy(&text)) {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            searched = self.text.len();
            if searched > MAX_ANSWER {
                return None;
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.text.extend_from_slice(&data);
            }
        }
    }
}

/// `None`: a comment, which keeps the connection alive.
fn event(text: &str) -> Option<Event> {
    let mut event = Event::default();
    let mut lines = 0;
    for line in text.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut event.name),
            "id" => value.clone_into(&mut event.id),
            "data" => {
                if lines > 0 {
                    event.data.push('\n');
                }
                lines += 1;
                event.data.push_str(value);
            }
            _ => {}
        }
    }
    (lines > 0).then_some(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_as_they_are_written() {
        let read = event("event: change\nid: a.1\ndata: {\"x\": 1}\n\n").unwrap();
        assert_eq!(
            (&*read.name, &*read.id, &*read.data),
            ("change", "a.1", "{\"x\": 1}")
        );
        assert_eq!(event("data:a\ndata: b\n\n").unwrap().data, "a\nb");
        assert_eq!(event(":\n\n"), None);
        assert_eq!(event(": still here\n\n"), None);
    }
}
