//! Requests over HTTP/1.1, one after the other on one connection.
//!
//! Invariant: a request is answered, or has failed, within the time of [`Patience`]; an
//! answer is read as far as [`ANSWER`] and no further. A redirect is not followed: it could lead
//! records to somebody else. Never sends a request twice.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use manifest_spec::sink::{Endpoint, HostPort};
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::answer::retry_after;
use super::reach::Patience;
use super::{Surroundings, reach, tls};

/// From the end of an answer to a connection that can be used again.
const SETTLING: Duration = Duration::from_millis(100);
/// Most of an answer that is read, in bytes.
pub const ANSWER: usize = 64 * 1024;

/// A peer that is spoken to over HTTP.
#[derive(Debug)]
pub struct Client {
    peer: HostPort,
    /// As the header `Host` has it.
    authority: String,
    path: String,
    headers: HeaderMap,
    trusted: Option<Arc<ClientConfig>>,
    connection: Option<Connection>,
    patience: Patience,
    clock: fn() -> Duration,
}

/// What a peer answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// The body, or its beginning.
    pub body: Vec<u8>,
}

/// A connection, ended when it is dropped.
#[derive(Debug)]
struct Connection {
    sender: SendRequest<Chunks>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The body of a request: pieces of bytes, none of them copied.
#[derive(Debug)]
pub struct Chunks(VecDeque<Bytes>);

impl From<Vec<Bytes>> for Chunks {
    fn from(chunks: Vec<Bytes>) -> Self {
        Chunks(chunks.into_iter().filter(|chunk| !chunk.is_empty()).collect())
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|chunk| chunk.len() as u64).sum())
    }
}

/// Headers that a request has from us, whoever names them.
const OURS: [HeaderName; 4] =
    [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION];

/// Headers that somebody wrote, as HTTP has them.
///
/// # Errors
/// The name of the first that can't be one; never its value.
pub fn headers<'a>(
    written: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in written {
        let wrong = || format!("the header {name:?} can't be sent");
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
        if OURS.contains(&name) {
            return Err(wrong());
        }
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

impl Client {
    /// A client of this address that asks for `path`. Touches no network.
    ///
    /// # Errors
    /// What makes TLS impossible here, in words.
    pub fn new(
        endpoint: &Endpoint,
        path: String,
        mut headers: HeaderMap,
        around: &Surroundings,
    ) -> Result<Client, String> {
        let trusted = endpoint.is_secure.then(|| tls::trusting(&around.bundles)).transpose()?;
        headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static("hostctl"));
        Ok(Client {
            peer: HostPort { host: endpoint.host.clone(), port: endpoint.port_or_default() },
            authority: endpoint.authority(),
            path,
            headers,
            trusted,
            connection: None,
            patience: around.patience,
            clock: around.clock,
        })
    }

    /// `POST` this body.
    ///
    /// # Errors
    /// Why there is no answer, in words.
    pub async fn post(&mut self, body: Chunks, own: &HeaderMap) -> Result<Reply, String> {
        let mut request = Request::post(&self.path)
            .header(header::HOST, &self.authority)
            .body(body)
            .map_err(|error| error.to_string())?;
        request.headers_mut().extend(own.clone());
        request.headers_mut().extend(self.headers.clone());
        let mut connection = match self.connection.take() {
            Some(connection) if !connection.sender.is_closed() => connection,
            _ => self.connect().await?,
        };
        let silent = || format!("{} does not answer the request", self.peer);
        let exchange = async {
            let response = connection.sender.send_request(request).await.map_err(|error| {
                match error.is_timeout() || error.is_incomplete_message() || error.is_closed() {
                    true => format!("{} closed the connection without an answer", self.peer),
                    false => format!("{}: {}", self.peer, innermost(&error)),
                }
            })?;
            self.read(response).await
        };
        let (reply, is_whole) =
            timeout(self.patience.answer, exchange).await.map_err(|_| silent())??;
        // What is left of an answer would be taken for the next one; and who answered before it had
        // the request whole may never read the rest.
        let ready = timeout(SETTLING, connection.sender.ready());
        if is_whole && matches!(ready.await, Ok(Ok(()))) {
            self.connection = Some(connection);
        }
        Ok(reply)
    }

    async fn read(&self, response: Response<Incoming>) -> Result<(Reply, bool), String> {
        let (head, body) = response.into_parts();
        let wait = head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let mut body = Limited::new(body, ANSWER);
        let mut bytes = Vec::new();
        let is_whole = loop {
            match body.frame().await {
                None => break true,
                Some(Ok(frame)) => bytes.extend(frame.into_data().unwrap_or_default()),
                // Too long, or cut off: the status was said all the same.
                Some(Err(_)) => break false,
            }
        };
        let reply = Reply {
            status: head.status.as_u16(),
            retry_after: wait.and_then(|wait| retry_after(wait, (self.clock)())),
            body: bytes,
        };
        Ok((reply, is_whole))
    }

    async fn connect(&self) -> Result<Connection, String> {
        let stream = reach::tcp(&self.peer, self.patience).await?;
        let Some(trusted) = &self.trusted else { return shake(stream).await };
        let over = tls::over(stream, &self.peer.host, Arc::clone(trusted));
        let silent = |_| format!("{} does not answer in TLS", self.peer);
        shake(timeout(self.patience.connection, over).await.map_err(silent)??).await
    }
}

async fn shake(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<Connection, String> {
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    // How it ends is heard by whoever waits for an answer.
    let driver = tokio::spawn(async move { drop(connection.await) });
    Ok(Connection { sender, driver })
}

/// The cause of an error that is behind all others.
fn innermost(error: &hyper::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
