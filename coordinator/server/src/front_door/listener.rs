//! The listeners' side: who may connect, how many, and how long the head of a request may take.
//!
//! It judges nothing itself. Invariants: a connection that isn't let in is closed before a byte of it is read; one that never
//! ends the head of its request is closed too; stopping lets requests under way come to their end.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use amends_tls::{Accepted, Io, Listener, Seat};
use axum::Router;
use axum::body::Body;
use futures::Stream;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;
use tower::ServiceExt as _;

use super::connections::Connections;

/// As for gRPC.
const HEADER_BYTES_MAX: u32 = 16 * 1024;

/// A connection that was let in.
#[derive(Debug)]
pub(crate) struct Guarded {
    io: Io,
    _seat: Option<Seat>,
}

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, into)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

impl Connected for Guarded {
    type ConnectInfo = <Io as Connected>::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.io.connect_info()
    }
}

/// Lets in whom `connections` has a seat for.
pub(crate) fn guarded(listener: Listener, connections: Connections, what: &'static str) -> Listener {
    listener.admitting(move |from| match connections.admit(from.ip()) {
        Ok(seat) => Some(Box::new(seat) as Seat),
        Err(why) => {
            tracing::debug!(listener = what, %from, ?why, "connection closed");
            None
        }
    })
}

/// The connections of the gRPC listener, as tonic takes them.
pub(crate) fn incoming(listener: Listener) -> impl Stream<Item = io::Result<Guarded>> + Unpin + Send {
    Box::pin(futures::stream::unfold(listener, |mut listener| async move {
        let Accepted { io, seat, .. } = listener.accept().await;
        Some((Ok(Guarded { io, _seat: seat }), listener))
    }))
}

/// Serves HTTP/1 and HTTP/2 until `end`.
pub(crate) async fn serve_http(mut listener: Listener, router: Router, header_time: Duration, end: CancellationToken) {
    let server = server(header_time);
    let graceful = GracefulShutdown::new();
    loop {
        let Accepted { io, from, seat } = tokio::select! {
            biased;
            () = end.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let connection = io.connect_info();
        let router = router.clone();
        let answer = move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(connection.clone());
            router.clone().oneshot(request.map(Body::new))
        };
        let service = hyper::service::service_fn(answer);
        let connection = server.serve_connection(TokioIo::new(Guarded { io, _seat: seat }), service).into_owned();
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = watched.await {
                tracing::debug!(%from, error, "connection ended");
            }
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

fn server(header_time: Duration) -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(header_time);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEADER_BYTES_MAX)
        .keep_alive_interval(Some(header_time));
    server
}
