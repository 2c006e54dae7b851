//! One request and its answer on an HTTP/2 connection.
//!
//! It stands right on h2: hyper's client has a queue and two tasks between a call and its connection, which every call would pay for,
//! and which add nothing where a call is a task already. Invariant: a request that [`Sender::send`] gives an error for was not
//! sent, since the connection didn't take it; of one that was taken nothing is certain any more.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use h2::RecvStream;
use h2::client::{Builder, Connection, SendRequest};
use http::{Request, Response};
use hyper::body::{Body, Frame};
use tokio::io::{AsyncRead, AsyncWrite};

// As hyper has them: a window that a large reply doesn't have to wait for, and a bound of what is read of headers.
const CONNECTION_WINDOW: u32 = 5 * 1024 * 1024;
const STREAM_WINDOW: u32 = 2 * 1024 * 1024;
const HEADER_BYTES_MAX: u32 = 16 * 1024;
/// Most calls under way until the participant has said how many it takes.
const STREAMS_AT_FIRST: usize = 100;

/// Begins HTTP/2. The connection has to be run beside the calls.
pub(super) async fn handshake<T>(io: T) -> Result<(Sender, Connection<T, Bytes>), h2::Error>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let (requests, driver) = Builder::new()
        .enable_push(false)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_window_size(STREAM_WINDOW)
        .max_header_list_size(HEADER_BYTES_MAX)
        .initial_max_send_streams(STREAMS_AT_FIRST)
        .handshake(io)
        .await?;
    Ok((Sender(requests), driver))
}

/// Where requests are handed over to a connection. Each call has a clone of its own.
#[derive(Debug, Clone)]
pub(super) struct Sender(SendRequest<Bytes>);

impl Sender {
    /// Whether the connection takes no more requests.
    pub(super) fn is_closed(&mut self) -> bool {
        matches!(self.0.poll_ready(&mut Context::from_waker(Waker::noop())), Poll::Ready(Err(_)))
    }

    /// Hands a request over. The error says that it was not sent; what is given completes with the answer.
    pub(super) fn send(
        &mut self,
        request: Request<Bytes>,
    ) -> Result<impl Future<Output = Result<Response<Answer>, h2::Error>> + use<>, h2::Error> {
        let (parts, message) = request.into_parts();
        let (answer, mut body) = self.0.send_request(Request::from_parts(parts, ()), false)?;
        // Where the stream has been reset meanwhile, the answer says so.
        let _ = body.send_data(message, true);
        Ok(async move { Ok(answer.await?.map(Answer::new)) })
    }
}

/// An answer's body.
#[derive(Debug)]
pub(super) struct Answer {
    stream: RecvStream,
    is_read: bool,
}

impl Answer {
    fn new(stream: RecvStream) -> Self {
        Self { stream, is_read: false }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let this = self.get_mut();
        if !this.is_read {
            match ready!(this.stream.poll_data(cx)) {
                Some(Ok(bytes)) => {
                    // No more is given back than was taken, so that it can't fail.
                    let _ = this.stream.flow_control().release_capacity(bytes.len());
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => this.is_read = true,
            }
        }
        Poll::Ready(ready!(this.stream.poll_trailers(cx)).transpose().map(|trailers| trailers.map(Frame::trailers)))
    }
}
