//! hostd as hostctl sees it: HTTP/1.1 with JSON over its socket, here or on another machine.
//!
//! Owns the connection. Invariant: what hostd refuses is an error with hostd's own words and exit
//! code; what it answers reaches the caller byte by byte, so that `--json` prints it as it came.
//! Never retries what changes something.
//!
//! | room | owns |
//! | --- | --- |
//! | [`place`] | where hostd is |
//! | [`stream`] | the bytes to it and from it |
//! | [`lines`] | events and records as they happen |

pub mod lines;
pub mod place;
mod stream;

use agent::failure::Error;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use manifest_spec::api::{ErrorBody, ErrorCode, ExecRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;

use lines::Lines;
pub use place::Place;
use stream::Tunnel;

/// A connection to hostd. It is used by one request at a time.
#[derive(Debug)]
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    place: Place,
    tunnel: Option<Tunnel>,
}

/// What hostd answered.
#[derive(Debug)]
pub struct Answer {
    bytes: Bytes,
}

impl Answer {
    /// The document as it came, with a line end.
    pub fn json(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// What it says.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.bytes).map_err(|error| {
            let message = format!("hostd's answer can't be understood: {error}");
            Error::Unreachable(message, "are hostd and hostctl of one version?".into())
        })
    }
}

/// Do something that waits for hostd, on this thread.
pub fn run<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().map_err(
            |error| Error::Unreachable(format!("no event loop: {error}"), String::new()),
        )?;
    runtime.block_on(work)
}

impl Client {
    /// Connect.
    pub async fn open(place: &Place) -> Result<Client, Error> {
        let (stream, tunnel) = stream::open(place).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| place.lost(&error.to_string()))?;
        // It ends with the connection; what goes wrong on it is told to who waits for an answer.
        tokio::spawn(connection.with_upgrades());
        Ok(Client { sender, place: place.clone(), tunnel })
    }

    /// A second connection to the same hostd.
    pub async fn again(&self) -> Result<Client, Error> {
        Client::open(&self.place).await
    }

    /// Ask for something.
    pub async fn get(&mut self, path: &str) -> Result<Answer, Error> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    /// Ask for something to be done.
    pub async fn post(&mut self, path: &str, body: &impl Serialize) -> Result<Answer, Error> {
        self.ask(Method::POST, path, json(body)).await
    }

    /// Ask for something to be taken away.
    pub async fn delete(&mut self, path: &str, body: &impl Serialize) -> Result<Answer, Error> {
        self.ask(Method::DELETE, path, json(body)).await
    }

    /// Events or records, line by line, as they happen.
    pub async fn follow(mut self, path: &str) -> Result<Lines, Error> {
        let response = self.send(request(Method::GET, path, Bytes::new())).await?;
        match response.status() {
            StatusCode::OK => {
                let said = response.headers().get(manifest_spec::api::logs::INSTANCES);
                let said = said.and_then(|text| text.to_str().ok()?.parse().ok());
                Ok(Lines::new(response.into_body(), said.unwrap_or(0), self))
            }
            _ => Err(self.refusal(response).await),
        }
    }

    /// Have a command run inside an instance; the connection then carries its streams.
    pub async fn exec(
        mut self,
        app: &str,
        body: &ExecRequest,
    ) -> Result<(TokioIo<Upgraded>, Guard), Error> {
        let path = format!("{}/exec", app_path(app));
        let mut request = request(Method::POST, &path, json(body));
        let headers = request.headers_mut();
        headers.insert(header::CONNECTION, header::HeaderValue::from_static("upgrade"));
        let protocol = header::HeaderValue::from_static(manifest_spec::api::exec::PROTOCOL);
        headers.insert(header::UPGRADE, protocol);
        let mut response = self.send(request).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(self.refusal(response).await);
        }
        let upgraded = hyper::upgrade::on(&mut response).await;
        let upgraded = upgraded.map_err(|error| self.place.lost(&error.to_string()))?;
        Ok((TokioIo::new(upgraded), Guard(self)))
    }

    async fn ask(&mut self, method: Method, path: &str, body: Bytes) -> Result<Answer, Error> {
        let response = self.send(request(method, path, body)).await?;
        if response.status() != StatusCode::OK {
            return Err(self.refusal(response).await);
        }
        let body = response.into_body().collect().await;
        let bytes = body.map_err(|error| self.place.lost(&error.to_string()))?.to_bytes();
        Ok(Answer { bytes })
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        let sent = match self.sender.ready().await {
            Ok(()) => self.sender.send_request(request).await,
            Err(error) => Err(error),
        };
        sent.map_err(|error| match self.tunnel.as_mut().and_then(Tunnel::ended) {
            Some(how) => self.place.lost(&how),
            None => self.place.lost(&error.to_string()),
        })
    }

    async fn refusal(&self, response: Response<Incoming>) -> Error {
        let status = response.status();
        let body = match response.into_body().collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return self.place.lost(&error.to_string()),
        };
        serde_json::from_slice::<ErrorBody>(&body).map_or_else(
            |_| {
                let message = format!("{} answered with {status}", self.place);
                Error::Unreachable(message, "is that hostd of this version?".into())
            },
            Error::from,
        )
    }
}

/// Keeps what a connection needs (a process of ssh) for as long as it is used.
#[derive(Debug)]
pub struct Guard(#[allow(dead_code)] Client);

/// Whether hostd knows no such app, service or version.
pub fn is_unknown(error: &Error) -> bool {
    matches!(error, Error::Answer(body) if body.code == ErrorCode::NotFound)
}

/// The path of an app. Names have nothing that must be encoded; what is no name must not become
/// another path.
pub fn app_path(app: &str) -> String {
    format!("/v1/apps/{}", encoded(app))
}

/// A text as one part of a path or a query, percent-encoded (RFC 3986, section 2.1).
pub fn encoded(text: &str) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+');
    let encode = |byte: u8| match is_plain(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

fn json(body: &impl Serialize) -> Bytes {
    // The bodies of the API are structures of texts and numbers, which always have a JSON form.
    Bytes::from(serde_json::to_vec(body).unwrap_or_default())
}

fn request(method: Method, path: &str, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert(header::HOST, header::HeaderValue::from_static("hostd"));
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_not_become_another_path() {
        assert_eq!(app_path("hello+3"), "/v1/apps/hello+3");
        assert_eq!(app_path("../halt?x"), "/v1/apps/%2E%2E%2Fhalt%3Fx");
    }
}
