//! The API's socket: HTTP/1.1 with JSON bodies over a Unix socket.
//!
//! Invariant: every request is answered, and by whoever the kernel says is at the other end; a
//! request is read whole, up to [`LIMIT`], before it counts. Decides nothing: requests become calls
//! ([`super::routes`]), and the world answers.

use std::convert::Infallible;
use std::os::fd::AsFd;
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use manifest_spec::api::exec::PROTOCOL;
use manifest_spec::api::logs::INSTANCES;
use manifest_spec::api::{ErrorBody, Event as Told};
use serde::Serialize;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::oneshot;

use super::event::{Call, Event, Reply, Running};
use super::peer::Peer;
use super::{records, refusal, routes, session};
use crate::clock::since_epoch;
use crate::logs::choice;

/// Largest request, in bytes: a manifest with everything around it.
const LIMIT: usize = 4 << 20;

/// How long a client may take to send the head of a request.
const PATIENCE: Duration = Duration::from_secs(30);

/// One JSON object a line.
/// Prometheus' text format.
const METRICS: &str = "text/plain; version=0.0.4";

const LINES: &str = "application/x-ndjson";

type Body = BoxBody<Bytes, Infallible>;

/// Take connections until hostd ends.
pub async fn serve(listener: UnixListener, sender: UnboundedSender<Event>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::task::spawn_local(attend(stream, sender.clone()))),
            // Out of descriptors, say: others may be given back meanwhile.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn attend(stream: UnixStream, sender: UnboundedSender<Event>) {
    let Ok(credentials) = stream.peer_cred() else { return };
    let pid = credentials.pid().unwrap_or_default();
    let Ok(groups) = host_sys::socket::peer_groups(stream.as_fd()) else { return };
    let peer = Peer::new(credentials.uid(), credentials.gid(), pid, groups);
    let service = service_fn(move |request| {
        let (peer, sender) = (peer.clone(), sender.clone());
        async move { Ok::<_, Infallible>(answer(request, peer, &sender).await) }
    });
    // Whatever is wrong with a connection is its client's to notice.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

async fn answer(
    mut request: Request<Incoming>,
    peer: Peer,
    sender: &UnboundedSender<Event>,
) -> Response<Body> {
    let upgrade = hyper::upgrade::on(&mut request);
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, LIMIT).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return refused(&refusal::too_large(LIMIT)),
    };
    let query = head.uri.query().unwrap_or_default();
    let routed = routes::route(&head.method, head.uri.path(), query, &body);
    let (call, follow) = match routed {
        Ok(routed) => routed,
        Err(error) => return refused(&error),
    };
    let app = match &call {
        Call::Events { app, .. } => app.clone(),
        Call::TestSinks(app, _) => Some(app.clone()),
        _ => None,
    };
    let exec = matches!(call, Call::Exec(..));
    if exec && head.headers.get(header::UPGRADE).is_none_or(|value| value != PROTOCOL) {
        let message = format!("this takes a connection that is upgraded to {PROTOCOL}");
        return refused(&refusal::bad_request(&message));
    }
    let (reply, answered) = oneshot::channel();
    if sender.send(Event::Call(call, peer, reply)).is_err() {
        return refused(&refusal::ending());
    }
    match answered.await {
        Ok(Ok(Reply::Events(past, future))) => stream(past, future, follow, app),
        Ok(Ok(Reply::Logs(logs, query))) => match records::begin(logs, *query) {
            Ok((instances, receiver)) => written(instances, receiver),
            Err(error) => refused(&error),
        },
        Ok(Ok(Reply::TestSinks(sinks, programs))) => {
            let (app, programs) = (app.unwrap_or_default(), programs.map(|programs| *programs));
            let trials = choice::try_out(&app, &sinks, programs, since_epoch).await;
            whole(StatusCode::OK, "application/json", line(&trials))
        }
        Ok(Ok(Reply::Metrics(text))) => whole(StatusCode::OK, METRICS, text.into_bytes()),
        Ok(Ok(Reply::Exec(running))) => upgraded(upgrade, *running),
        Ok(Ok(reply)) => routes::body(&reply).map_or_else(
            |error| refused(&error),
            |bytes| whole(StatusCode::OK, "application/json", bytes),
        ),
        Ok(Err(error)) => refused(&error),
        Err(_) => refused(&refusal::ending()),
    }
}

fn refused(error: &ErrorBody) -> Response<Body> {
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::BAD_REQUEST);
    whole(status, "application/json", line(error))
}

/// A value as a line of JSON.
pub(super) fn line(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

fn whole(status: StatusCode, kind: &'static str, bytes: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(bytes)).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

/// Events as lines of JSON, of one app or of all; with `follow` the answer goes on until the client
/// has enough.
fn stream(
    past: Vec<Told>,
    future: broadcast::Receiver<Told>,
    follow: bool,
    app: Option<String>,
) -> Response<Body> {
    let lines: Vec<u8> = past.iter().flat_map(line).collect();
    if !follow {
        return whole(StatusCode::OK, LINES, lines);
    }
    let next = past.last().map_or(0, |event| event.seq + 1);
    let mut response = Response::new(Following::new(lines, future, next, app).boxed());
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(LINES));
    response
}

/// Records as lines of JSON, as they are read.
fn written(instances: usize, receiver: mpsc::Receiver<Bytes>) -> Response<Body> {
    let mut response = Response::new(Following { receiver }.boxed());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(LINES));
    headers.insert(INSTANCES, header::HeaderValue::from(instances));
    response
}

/// A body that is made while it is sent.
struct Following {
    receiver: mpsc::Receiver<Bytes>,
}

impl Following {
    fn new(
        past: Vec<u8>,
        mut future: broadcast::Receiver<Told>,
        next: u64,
        app: Option<String>,
    ) -> Following {
        let wanted = move |event: &Told| event.seq >= next && (app.is_none() || event.app == app);
        let (sender, receiver) = mpsc::channel(16);
        tokio::task::spawn_local(async move {
            if !past.is_empty() && sender.send(Bytes::from(past)).await.is_err() {
                return;
            }
            loop {
                let bytes = match future.recv().await {
                    Ok(event) if wanted(&event) => line(&event),
                    Ok(_) => continue,
                    // What was missed shows as a gap in the numbers.
                    Err(RecvError::Lagged(_)) => continue,
                    Err(RecvError::Closed) => return,
                };
                if sender.send(Bytes::from(bytes)).await.is_err() {
                    return;
                }
            }
        });
        Following { receiver }
    }
}

impl hyper::body::Body for Following {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.receiver.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// The connection carries the command's streams from here on.
fn upgraded(upgrade: hyper::upgrade::OnUpgrade, running: Running) -> Response<Body> {
    tokio::task::spawn_local(async move {
        if let Ok(connection) = upgrade.await {
            session::serve(TokioIo::new(connection), running).await;
        }
    });
    let mut response =
        whole(StatusCode::SWITCHING_PROTOCOLS, "application/octet-stream", Vec::new());
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, header::HeaderValue::from_static(PROTOCOL));
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("upgrade"));
    response
}
