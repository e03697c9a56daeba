//! Serves the API on a thread and a runtime of its own, until the stack has ended.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use axum::Router;
use axum::http::Uri;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::door::{self, Guard, Listening};
use super::{Api, ApiDoor, FOLLOWERS, Sources, routes};
use crate::control::history;
use crate::control::port::ControlPort;
use crate::control::record::Record;

/// Connections at the same time; more wait until one ends.
const CONNECTIONS: usize = 128;

/// How long a client is given to take what it was answered, at the end.
const DRAIN: Duration = Duration::from_secs(1);

/// How long one that has connected may take to say what it wants.
const HEADERS: Duration = Duration::from_secs(10);

/// An API that is being served.
#[derive(Debug)]
pub struct ApiServing {
    done: mpsc::Receiver<()>,
}

impl ApiServing {
    /// Waits until every client that was there at the end of the stack has its answer. Bounded.
    pub fn finish(self) {
        let _ = self.done.recv_timeout(3 * DRAIN);
    }
}

/// Serves the stack behind `port` until it has ended.
///
/// # Errors
/// There is no thread to be had.
pub fn serve(
    door: ApiDoor,
    sources: Arc<dyn Sources>,
    record: Record,
    port: Arc<dyn ControlPort>,
) -> io::Result<ApiServing> {
    let (ended, done) = mpsc::channel();
    let api = Arc::new(Api::new(port, sources, record));
    std::thread::Builder::new()
        .name("compat-api".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            if let Ok(runtime) = runtime {
                runtime.block_on(async {
                    if let Ok((listening, guard)) = door.listen() {
                        run(listening, guard, api).await;
                    }
                });
                runtime.shutdown_background();
            }
            let _ = ended.send(());
        })?;
    Ok(ApiServing { done })
}

async fn run(listening: Listening, guard: Guard, api: Arc<Api>) {
    let guard = Arc::new(guard);
    let routes = routes::router(Arc::clone(&api))
        .layer(axum::middleware::from_fn_with_state(guard, door::guard));
    let limit = Arc::new(Semaphore::new(CONNECTIONS));
    let (closing, closed) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut snapshots = api.port.snapshots();
    {
        let mut over = std::pin::pin!(history::ended(&mut snapshots));
        loop {
            tokio::select! {
                () = &mut over => break,
                client = accept(&listening, &routes, &limit) => if let Some(client) = client {
                    connections.spawn(client.converse(closed.clone()));
                },
                _ = connections.join_next(), if !connections.is_empty() => {}
            }
        }
    }
    if let Listening::Unix(_, path) = &listening {
        let _ = std::fs::remove_file(path);
    }
    drop(listening);
    closing.send_replace(true);
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN, all).await;
    // WebSockets are no connections of HTTP any more: each holds a place.
    let places = u32::try_from(FOLLOWERS).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(DRAIN, api.followers.acquire_many(places)).await;
}

enum Stream {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

struct Client {
    stream: Stream,
    routes: Router,
    room: tokio::sync::OwnedSemaphorePermit,
}

/// `None`: it could not be taken just now; the next one may be. Safe to cancel.
async fn accept(listening: &Listening, routes: &Router, limit: &Arc<Semaphore>) -> Option<Client> {
    let room = Arc::clone(limit).acquire_owned().await.ok()?;
    let accepted = match listening {
        Listening::Tcp(listener) => listener.accept().await.map(|(stream, peer)| {
            // Only makes it faster.
            let _ = stream.set_nodelay(true);
            let own = stream.local_addr().ok();
            let owner = own.and_then(|own| owner(own, peer));
            (Stream::Tcp(stream), owner)
        }),
        Listening::Unix(listener, _) => listener.accept().await.map(|(stream, _)| {
            // The kernel always tells; where it does not, it is nobody's.
            let owner = stream.peer_cred().map_or(u32::MAX, |peer| peer.uid());
            (Stream::Unix(stream), Some(owner))
        }),
    };
    let Ok((stream, owner)) = accepted else {
        // Out of descriptors, most likely, and units need them more.
        tokio::time::sleep(Duration::from_millis(50)).await;
        return None;
    };
    let own = rustix::process::geteuid().as_raw();
    let may_enter = owner.is_none_or(|owner| owner == own || owner == 0);
    let routes = if may_enter {
        routes.clone()
    } else {
        Router::new().fallback(door::foreign)
    };
    Some(Client {
        stream,
        routes,
        room,
    })
}

/// Nobody of this machine is behind an address of another one.
fn owner(own: SocketAddr, peer: SocketAddr) -> Option<u32> {
    peer.ip()
        .is_loopback()
        .then(|| door::owner(own, peer))
        .flatten()
}

impl Client {
    async fn converse(self, closed: watch::Receiver<bool>) {
        match self.stream {
            Stream::Tcp(stream) => converse(stream, self.routes, closed).await,
            Stream::Unix(stream) => converse(stream, self.routes, closed).await,
        }
        drop(self.room);
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    routes: Router,
    mut closed: watch::Receiver<bool>,
) {
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        if let Some(uri) = without_last_slash(request.uri()) {
            *request.uri_mut() = uri;
        }
        routes.call(request)
    });
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
    );
    tokio::select! {
        // A client that breaks off harms nobody but itself.
        _ = connection.as_mut() => return,
        // An error says that the server is gone, which comes to the same.
        _ = closed.wait_for(|closed| *closed) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// Clients of process-compose write `/project/state/`, and mean `/project/state`.
fn without_last_slash(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let shorter = path.strip_suffix('/').filter(|path| !path.is_empty())?;
    let mut parts = uri.clone().into_parts();
    let text = match uri.query() {
        Some(query) => format!("{shorter}?{query}"),
        None => shorter.to_owned(),
    };
    parts.path_and_query = Some(text.parse().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_slash_means_nothing() {
        let without = |uri: &str| {
            let uri = without_last_slash(&uri.parse().unwrap());
            uri.map(|uri| uri.to_string())
        };
        assert_eq!(
            without("/project/state/?withMemory=true").as_deref(),
            Some("/project/state?withMemory=true")
        );
        assert_eq!(without("/project/stop/").as_deref(), Some("/project/stop"));
        assert_eq!(without("/live"), None);
        assert_eq!(without("/"), None);
    }
}
