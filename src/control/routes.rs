//! Requests to answers.
//!
//! This module owns which path means what, and that whatever goes wrong is answered with a
//! [`Problem`]. It must not hold anything of a client from one request to the next.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Query, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::history::History;
use super::port::{ControlPort, PortError};
use super::protocol::{Act, ErrorCode, MAX_BODY, Problem, Taken, WatchQuery, WhyQuery};
use super::record::Record;
use super::reload::{ReloadAsk, ReloadError};
use super::{diagnostics, feed, live, log_pages, open_watch, openapi, streams};
use crate::domain::admission::{Answer, Denial};
use crate::domain::event::Command;
use crate::domain::id::Revision;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Instant;

/// Clients that follow the stack at the same time.
pub(super) const FOLLOWERS: usize = 384;

/// How long the body of a request may take to come.
const BODY: Duration = Duration::from_secs(10);

/// What every request is answered from.
#[derive(Debug)]
pub(super) struct Served {
    pub port: Arc<dyn ControlPort>,
    pub record: Record,
    pub history: History,
    /// As the stack was when it began to be served.
    pub first: Arc<Snapshot>,
    followers: Arc<Semaphore>,
    written: Mutex<Option<(Revision, Arc<RawValue>)>>,
}

impl Served {
    pub(super) fn new(port: Arc<dyn ControlPort>, record: Record) -> Self {
        let changes = port.changes();
        let first = Arc::clone(&port.snapshots().borrow());
        let room = port.snapshots().borrow().changes_at_once() * 4;
        let life = format!("{:x}", record.started.as_nanosecond());
        Self {
            port,
            record,
            first,
            // Enough to come back after some such moments.
            history: History::new(life, room, Some(changes)),
            followers: Arc::new(Semaphore::new(FOLLOWERS)),
            written: Mutex::default(),
        }
    }

    /// A place for a client that stays, until that is dropped. There are fewer of them than
    /// connections, so that whoever asks and goes always finds room.
    pub(super) fn follow(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.followers)
            .try_acquire_owned()
            .map_err(|_| {
                let message = format!("{FOLLOWERS} clients follow this stack already");
                Problem::new(ErrorCode::TooMany, message)
                    .hint("try again once one of them has left, or ask without waiting")
            })
    }

    /// How many clients stay at the moment.
    pub(super) fn following(&self) -> u32 {
        let free = self.followers.available_permits();
        u32::try_from(FOLLOWERS.saturating_sub(free)).unwrap_or(u32::MAX)
    }

    /// The snapshot as JSON: written once, however many ask.
    pub(super) fn write(&self, snapshot: &Snapshot) -> Result<Arc<RawValue>, Problem> {
        let lock = || self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((revision, text)) = &*lock()
            && *revision == snapshot.revision
        {
            return Ok(Arc::clone(text));
        }
        let text: Arc<RawValue> = serde_json::value::to_raw_value(snapshot)
            .map_err(|error| Problem::new(ErrorCode::Internal, error.to_string()))?
            .into();
        *lock() = Some((snapshot.revision, Arc::clone(&text)));
        Ok(text)
    }

    /// As [`State`](super::protocol::State).
    pub(super) fn state(&self, snapshot: &Snapshot) -> Result<StateText, Problem> {
        Ok(StateText {
            now: self.port.now(),
            snapshot: self.write(snapshot)?,
            logs: self.port.logs().place().map(ToOwned::to_owned),
        })
    }

    /// The latest snapshot.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.port.snapshots().borrow())
    }
}

/// A [`State`](super::protocol::State) of which most is written already.
#[derive(Debug, Serialize)]
pub(super) struct StateText {
    now: Instant,
    snapshot: Arc<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logs: Option<std::path::PathBuf>,
}

pub(super) type Shared = State<Arc<Served>>;

/// Every path.
pub(super) fn router(served: Arc<Served>) -> Router {
    Router::new()
        .route("/v1/openapi.json", get(document))
        .route("/v1/session", get(session))
        .route("/v1/state", get(state))
        .route("/v1/state/stream", get(streams::states))
        .route("/v1/commands", post(command))
        .route("/v1/timeline", get(timeline))
        .route("/v1/ports", get(listening))
        .route("/v1/containment", get(held))
        .route("/v1/diagnostics", get(diagnostics::diagnostics))
        .route("/v1/reload", post(reload))
        .route("/v1/changes", get(streams::changes_page))
        .route("/v1/changes/stream", get(streams::changes))
        .route(
            "/v1/logs",
            get(log_pages::by_query).post(log_pages::by_body),
        )
        .route("/v1/logs/open/stream", get(open_watch::stream))
        .route("/v1/feed", get(feed::feed))
        .route("/v1/watch", get(watched))
        .route("/v1/watch/why", post(why_watched))
        .route("/v1/stats/stream", get(live::stats))
        .route("/v1/units/{unit}/terminal/stream", get(live::terminal))
        .route("/v1/units/{unit}/terminal/size", post(live::size))
        .route("/v1/units/{unit}/input", post(live::input))
        .route("/v1/units/{unit}/processes", get(live::processes))
        .route("/v1/units/{unit}/exec", post(live::exec))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(served)
}

/// Paths that only read, although their question is too long for an address.
const READING: [&str; 2] = ["/v1/logs", "/v1/watch/why"];

/// Whether a request changes nothing. A route that is not known to read is taken to change.
pub(super) fn reads(method: &Method, path: &str) -> bool {
    match *method {
        Method::GET | Method::HEAD => true,
        Method::POST => READING.contains(&path),
        _ => false,
    }
}

/// What another user's process gets, whatever it asks for.
pub(super) fn forbidden() -> Router {
    Router::new().fallback(|| async {
        Problem::new(
            ErrorCode::Forbidden,
            "this stack belongs to another user of this machine",
        )
    })
}

async fn document() -> Response {
    json(&openapi::openapi())
}

async fn session(State(served): Shared) -> Response {
    json(&served.record)
}

async fn state(State(served): Shared) -> Result<Response, Problem> {
    let snapshot = served.snapshot();
    Ok(json(&served.state(&snapshot)?))
}

async fn command(
    State(served): Shared,
    act: Result<Body<Act>, Problem>,
) -> Result<Response, Problem> {
    let command = Command::from(act?.0);
    let answered = match served.port.command(command).await {
        Ok(answered) => answered,
        Err(PortError::Gone) => {
            let revision = served.snapshot().revision;
            return Err(Problem::denied(Denial::Ended, revision));
        }
        Err(error) => return Err(Problem::new(ErrorCode::Internal, error.to_string())),
    };
    // Whoever asks next, of whatever kind, sees what this did.
    let mut snapshots = served.port.snapshots();
    let _ = snapshots
        .wait_for(|snapshot| snapshot.revision >= answered.revision)
        .await;
    match answered.answer {
        Answer::Denied(denial) => Err(Problem::denied(denial, answered.revision)),
        answer => Ok(json(&Taken {
            answer,
            revision: answered.revision,
        })),
    }
}

async fn watched(
    State(served): Shared,
    asked: Result<Asked<WatchQuery>, Problem>,
) -> Result<Response, Problem> {
    let units = asked?.0.units.unwrap_or_default();
    let names = units.split(',').filter(|name| !name.is_empty());
    let names = names.map(crate::domain::id::UnitName::from).collect();
    match served.port.watched(names).await {
        Ok(watched) => Ok(json(&watched)),
        Err(error) => Err(unanswered(&served, &error)),
    }
}

async fn why_watched(
    State(served): Shared,
    asked: Result<Body<WhyQuery>, Problem>,
) -> Result<Response, Problem> {
    match served.port.why_watched(asked?.0.path.into()).await {
        Ok(why) => Ok(json(&why)),
        Err(error) => Err(unanswered(&served, &error)),
    }
}

pub(super) fn unanswered(served: &Served, error: &PortError) -> Problem {
    match error {
        PortError::Gone => Problem::denied(Denial::Ended, served.snapshot().revision),
        PortError::Unsupported | PortError::Refused(_) => {
            Problem::new(ErrorCode::Internal, error.to_string())
        }
    }
}

async fn timeline(State(served): Shared) -> Result<Response, Problem> {
    match served.port.timeline().await {
        Ok(timeline) => Ok(json(&timeline)),
        Err(error) => Err(unanswered(&served, &error)),
    }
}

async fn listening(State(served): Shared) -> Result<Response, Problem> {
    match served.port.listening().await {
        Ok(ports) => Ok(json(&ports)),
        Err(error) => Err(unanswered(&served, &error)),
    }
}

async fn held(State(served): Shared) -> Result<Response, Problem> {
    match served.port.held().await {
        Ok(held) => Ok(json(&held)),
        Err(error) => Err(unanswered(&served, &error)),
    }
}

async fn reload(
    State(served): Shared,
    ask: Result<Body<ReloadAsk>, Problem>,
) -> Result<Response, Problem> {
    let revision = || served.snapshot().revision;
    match served.port.reload(ask?.0).await {
        Ok(reloaded) => Ok(json(&reloaded)),
        Err(ReloadError::BadFiles(bad)) => {
            let mut problem =
                Problem::new(ErrorCode::BadFiles, bad.summary.clone()).hint("all stays as it was");
            problem.bad_files = Some(bad);
            Err(problem)
        }
        Err(ReloadError::Denied(denial)) => Err(Problem::denied(denial, revision())),
        Err(ReloadError::Port(PortError::Gone)) => Err(Problem::denied(Denial::Ended, revision())),
        Err(ReloadError::Port(error)) => Err(Problem::new(ErrorCode::Denied, error.to_string())),
    }
}

async fn not_found() -> Problem {
    Problem::new(ErrorCode::NotFound, "there is nothing under this path")
        .hint("GET /v1/state shows the stack")
}

async fn method_not_allowed() -> Problem {
    Problem::new(
        ErrorCode::MethodNotAllowed,
        "this path takes another method",
    )
}

/// An answer as JSON.
pub(super) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => Problem::new(ErrorCode::Internal, error.to_string()).into_response(),
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = match self.code {
            ErrorCode::BadRequest => StatusCode::BAD_REQUEST,
            ErrorCode::NotFound | ErrorCode::UnknownUnit => StatusCode::NOT_FOUND,
            ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::TooMany => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::TimedOut => StatusCode::REQUEST_TIMEOUT,
            ErrorCode::Forbidden | ErrorCode::ReadOnly => StatusCode::FORBIDDEN,
            ErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
            ErrorCode::ShuttingDown
            | ErrorCode::Ended
            | ErrorCode::NotRunning
            | ErrorCode::Denied => StatusCode::CONFLICT,
            ErrorCode::BadFiles => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let text = serde_json::to_vec(&self).unwrap_or_default();
        let mut answer =
            (status, [(header::CONTENT_TYPE, "application/json")], text).into_response();
        if self.code == ErrorCode::Unauthorized {
            let bearer = HeaderValue::from_static("Bearer");
            answer
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, bearer);
        }
        answer
    }
}

/// A body of JSON, or what is wrong with it.
#[derive(Debug)]
pub(super) struct Body<T>(pub T);

impl<T: serde::de::DeserializeOwned> FromRequest<Arc<Served>> for Body<T> {
    type Rejection = Problem;

    async fn from_request(
        request: axum::extract::Request,
        served: &Arc<Served>,
    ) -> Result<Self, Problem> {
        let read = axum::Json::<Object<T>>::from_request(request, served);
        match tokio::time::timeout(BODY, read).await {
            Ok(Ok(axum::Json(Object(value)))) => Ok(Self(value)),
            Ok(Err(rejection)) => Err(unread(&rejection)),
            Err(_) => Err(Problem::new(
                ErrorCode::TimedOut,
                "the body of the request did not come in time",
            )),
        }
    }
}

/// A type whose fields are named: a list of their values, which serde would take as well, is
/// not what the document says.
struct Object<T>(T);

impl<'de, T: serde::Deserialize<'de>> serde::Deserialize<'de> for Object<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(std::marker::PhantomData<T>);
        impl<'de, T: serde::Deserialize<'de>> serde::de::Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(serde::de::value::MapAccessDeserializer::new(map))
            }
        }
        let fields = Fields(std::marker::PhantomData);
        deserializer.deserialize_map(fields).map(Object)
    }
}

fn unread(rejection: &JsonRejection) -> Problem {
    let code = if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        ErrorCode::TooLarge
    } else {
        ErrorCode::BadRequest
    };
    Problem::new(code, rejection.body_text())
}

/// What stands behind the question mark, or what is wrong with it.
#[derive(Debug)]
pub(super) struct Asked<T>(pub T);

impl<T: serde::de::DeserializeOwned> FromRequestParts<Arc<Served>> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        served: &Arc<Served>,
    ) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, served).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(misasked(&rejection)),
        }
    }
}

fn misasked(rejection: &QueryRejection) -> Problem {
    Problem::new(ErrorCode::BadRequest, rejection.body_text())
}
