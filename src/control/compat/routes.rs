//! Which path means what.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode};
use axum::routing::{delete, get, patch, post};

use super::refusal::Refusal;
use super::{Api, acts, lines, rows, sockets};
use crate::control::protocol::MAX_BODY;

pub(super) fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/live", get(rows::live))
        .route("/hostname", get(rows::host_name))
        .route("/processes", get(rows::processes))
        .route("/process/{name}", get(rows::process))
        .route("/process/info/{name}", get(rows::info))
        .route("/process/ports/{name}", get(rows::ports))
        .route("/process/logs/{name}/{end}/{limit}", get(lines::log))
        .route("/process/logs/{name}", delete(lines::clear))
        .route("/process/logs/ws", get(sockets::logs))
        .route("/process/states/ws", get(sockets::states))
        .route("/process/start/{name}", post(acts::start))
        .route("/process/stop/{name}", patch(acts::stop))
        .route("/process/restart/{name}", post(acts::restart))
        .route("/process/signal/{name}/{number}", patch(acts::signal))
        .route("/process/scale/{name}/{count}", patch(acts::scale))
        .route("/process/send-keys/{name}", post(acts::send_keys))
        .route("/process", post(acts::no_update))
        .route("/processes/stop", patch(acts::stop_several))
        .route("/namespaces", get(rows::namespaces))
        .route("/namespace/start/{name}", post(acts::start_namespace))
        .route("/namespace/stop/{name}", post(acts::stop_namespace))
        .route("/namespace/restart/{name}", post(acts::restart_namespace))
        .route("/graph", get(rows::dependencies))
        .route("/project", post(acts::no_update))
        .route("/project/name", get(rows::project_name))
        .route("/project/state", get(rows::project_state))
        .route("/project/stop", post(acts::stop_project))
        .route("/project/configuration", post(acts::reload_project))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(api)
}

async fn not_found() -> Refusal {
    let error = "there is nothing under this path; docs/process-compose.md lists what there is";
    Refusal::new(StatusCode::NOT_FOUND, error)
}

async fn not_allowed(method: Method) -> Refusal {
    let error = format!("this path takes another method than {method}");
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, error)
}
