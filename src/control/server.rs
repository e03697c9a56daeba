//! Serves a stack to other processes, for as long as it runs.
//!
//! ```text
//!  listen ─► accept ─► whose process? ─► requests … ─► the stack has ended
//!                          └─► refused                     │
//!        released ◄─ connections end ◄─ the rest is accepted, the socket goes
//! ```
//!
//! Faces that were there before the stack are served over connections of their own. Nothing
//! is cut short for them: what they have not read is there until they leave.
//!
//! It has a thread and a runtime of its own, so that no client, however many and however
//! fast they ask, takes time from the event loop. Nothing here waits for a client without a
//! limit.

use std::io;
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::history;
use super::live::Peer;
use super::port::ControlPort;
use super::record::Record;
use super::routes::{self, Served};
use super::session::Session;
use super::tcp::Door;

/// Connections at the same time; more wait until one ends. Those that follow are fewer (see
/// [`routes`]), and all others end soon.
const CONNECTIONS: usize = 512;

/// Connections over TCP at the same time. They take no place from the others.
const OUTSIDE: usize = 128;

/// How long a client is given to take what it was answered, at the end.
const DRAIN: Duration = Duration::from_secs(1);

/// How long one that has connected may take to say what it wants.
const HEADERS: Duration = Duration::from_secs(10);

/// A stack that is being served.
#[derive(Debug)]
pub struct Serving {
    done: mpsc::Receiver<()>,
}

impl Serving {
    /// Waits until every client that was there at the end of the stack has its answer, and
    /// the session is given up. Bounded.
    pub fn finish(self) {
        // An error means that the thread has ended, which is what is waited for.
        let _ = self.done.recv_timeout(2 * DRAIN);
    }
}

/// Serves the stack behind `port` until it has ended, then gives up the session. Nothing
/// that the stack does from now on is missed.
///
/// # Errors
/// There is no thread or no runtime to be had.
pub fn serve(
    session: Session,
    listener: StdListener,
    port: Arc<dyn ControlPort>,
) -> io::Result<Serving> {
    let record = session.record().clone();
    serve_faces(Some((session, listener)), None, Vec::new(), record, port)
}

/// The same, also over `faces`: the ends of connections whose other ends they have. Without a
/// session nobody else finds the stack; with a `door` it is found over TCP as well.
///
/// # Errors
/// As [`serve`].
pub fn serve_faces(
    session: Option<(Session, StdListener)>,
    door: Option<Door>,
    faces: Vec<StdStream>,
    record: Record,
    port: Arc<dyn ControlPort>,
) -> io::Result<Serving> {
    for face in &faces {
        face.set_nonblocking(true)?;
    }
    if let Some((_, listener)) = &session {
        listener.set_nonblocking(true)?;
    }
    let changes = port.changes();
    let served = Arc::new(Served::new(port, record));
    let (ended, done) = mpsc::channel();
    std::thread::Builder::new()
        .name("control".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            if let Ok(runtime) = runtime {
                runtime.block_on(async {
                    let history = Arc::clone(&served);
                    let followed = tokio::spawn(async move {
                        history.history.follow(changes, &*history.port).await;
                    });
                    let mut shown = JoinSet::new();
                    for face in faces {
                        if let Ok(stream) = UnixStream::from_std(face) {
                            // Open for as long as the face is.
                            let router = routes::router(Arc::clone(&served));
                            let peer = peer(&stream);
                            shown.spawn(converse(stream, peer, router, None));
                        }
                    }
                    match session {
                        Some((session, listener)) => {
                            if let Ok(listener) = UnixListener::from_std(listener) {
                                run(listener, door, &session, served).await;
                            }
                        }
                        None => history::ended(&mut served.port.snapshots()).await,
                    }
                    let _ = ended.send(());
                    while shown.join_next().await.is_some() {}
                    followed.abort();
                });
            }
        })?;
    Ok(Serving { done })
}

async fn run(listener: UnixListener, door: Option<Door>, session: &Session, served: Arc<Served>) {
    let owner = rustix::process::geteuid().as_raw();
    let mut snapshots = served.port.snapshots();
    let (closing, closed) = watch::channel(false);
    let mut connections = JoinSet::new();
    let outside = door
        .and_then(|door| door.serve(routes::router(Arc::clone(&served))).ok())
        .map(|(listener, routes)| Outside {
            listener,
            routes,
            limit: Arc::new(Semaphore::new(OUTSIDE)),
            closed: closed.clone(),
        });
    let clients = Clients {
        ours: routes::router(served),
        foreign: routes::forbidden(),
        owner,
        limit: Arc::new(Semaphore::new(CONNECTIONS)),
        closed,
    };
    {
        let mut over = std::pin::pin!(history::ended(&mut snapshots));
        loop {
            tokio::select! {
                () = &mut over => break,
                client = clients.accept(&listener) => {
                    // None: it could not be taken just now; the next one may be.
                    if let Some(client) = client {
                        connections.spawn(client);
                    }
                }
                client = from_outside(outside.as_ref()) => {
                    if let Some(client) = client {
                        connections.spawn(client);
                    }
                }
                _ = connections.join_next(), if !connections.is_empty() => {}
            }
        }
    }
    // Nobody new finds it; those who already have are answered.
    session.hide();
    while let Ok(Some(client)) =
        tokio::time::timeout(Duration::ZERO, clients.accept(&listener)).await
    {
        connections.spawn(client);
    }
    drop((listener, outside));
    closing.send_replace(true);
    let all = async { while connections.join_next().await.is_some() {} };
    // Who does not read by then has been answered as well as can be.
    let _ = tokio::time::timeout(DRAIN, all).await;
}

struct Clients {
    ours: Router,
    foreign: Router,
    owner: u32,
    limit: Arc<Semaphore>,
    closed: watch::Receiver<bool>,
}

impl Clients {
    /// Takes one client, once there is one and there is room, to be talked to. Safe to
    /// cancel.
    async fn accept(
        &self,
        listener: &UnixListener,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let room = Arc::clone(&self.limit).acquire_owned().await.ok()?;
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                not_taken(&error).await;
                return None;
            }
        };
        let router = if self.may_enter(&stream) {
            self.ours.clone()
        } else {
            self.foreign.clone()
        };
        let closed = self.closed.clone();
        Some(async move {
            let peer = peer(&stream);
            converse(stream, peer, router, Some(closed)).await;
            drop(room);
        })
    }

    /// The kernel says whose process it was that connected.
    fn may_enter(&self, stream: &UnixStream) -> bool {
        let peer = stream.peer_cred().map(|peer| peer.uid());
        peer.is_ok_and(|uid| uid == self.owner || uid == 0)
    }
}

/// A connection could not be taken: out of descriptors, most likely, and units need them
/// more.
async fn not_taken(error: &io::Error) {
    if error.kind() != io::ErrorKind::ConnectionAborted {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Clients that come over TCP.
struct Outside {
    listener: tokio::net::TcpListener,
    routes: Router,
    limit: Arc<Semaphore>,
    closed: watch::Receiver<bool>,
}

/// As [`Clients::accept`]; never, where nobody can come.
async fn from_outside(
    outside: Option<&Outside>,
) -> Option<impl Future<Output = ()> + Send + use<>> {
    let Some(outside) = outside else {
        return std::future::pending().await;
    };
    let room = Arc::clone(&outside.limit).acquire_owned().await.ok()?;
    let stream = match outside.listener.accept().await {
        Ok((stream, _)) => stream,
        Err(error) => {
            not_taken(&error).await;
            return None;
        }
    };
    // Only makes it faster.
    let _ = stream.set_nodelay(true);
    let (routes, closed) = (outside.routes.clone(), outside.closed.clone());
    Some(async move {
        converse(stream, None, routes, Some(closed)).await;
        drop(room);
    })
}

/// Whose process it is.
fn peer(stream: &UnixStream) -> Option<Peer> {
    let pid = stream.peer_cred().ok()?.pid()?;
    u32::try_from(pid).ok().map(Peer)
}

/// `closed`: tells a client of the socket to go; none for a face's own connection, which it
/// asks through whenever a person wants something, be that hours later.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: Option<Peer>,
    router: Router,
    closed: Option<watch::Receiver<bool>>,
) {
    let routes = TowerToHyperService::new(router);
    let service = service_fn(move |mut request| {
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        routes.call(request)
    });
    let patience = closed.is_some().then_some(HEADERS);
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(patience)
            .serve_connection(TokioIo::new(stream), service)
    );
    tokio::select! {
        // A client that breaks off harms nobody but itself.
        _ = connection.as_mut() => return,
        () = told_to_close(closed) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

async fn told_to_close(closed: Option<watch::Receiver<bool>>) {
    let Some(mut closed) = closed else {
        return std::future::pending().await;
    };
    // An error says that the server is gone, which comes to the same.
    let _ = closed.wait_for(|closed| *closed).await;
}
