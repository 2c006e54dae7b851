//! Accepts connections, over TLS where there is a certificate.
//!
//! Handshakes run beside each other, so that a client that begins one and falls silent holds up nobody. It never ends because of
//! what a client does. Invariants: at most [`HANDSHAKES_MAX`] handshakes are under way; a connection that is handed out has
//! finished its own.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::io::Io;
use crate::server::{Application, ServerTls};
use crate::watched::chain;

/// Longest time for a handshake.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// Most handshakes at the same time; more clients wait in the system's queue.
const HANDSHAKES_MAX: usize = 512;
/// Pause after an error of the system, such as too many open files.
const PAUSE: Duration = Duration::from_millis(500);

/// A connection's place, kept as long as it lives.
pub type Seat = Box<dyn fmt::Debug + Send + Sync>;

/// Whether a connection from there is let in.
type Admit = Arc<dyn Fn(SocketAddr) -> Option<Seat> + Send + Sync>;

/// A listening socket.
pub struct Listener {
    tcp: TcpListener,
    tls: Option<(Arc<ServerTls>, Application)>,
    admit: Option<Admit>,
    handshakes: JoinSet<Option<Accepted>>,
}

/// A connection that was let in.
#[derive(Debug)]
pub struct Accepted {
    /// The connection.
    pub io: Io,
    /// Where it comes from.
    pub from: SocketAddr,
    /// What [`Listener::admitting`] gave.
    pub seat: Option<Seat>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("tcp", &self.tcp).field("tls", &self.tls).finish_non_exhaustive()
    }
}

impl Listener {
    /// Without TLS.
    pub fn plain(tcp: TcpListener) -> Self {
        Self { tcp, tls: None, admit: None, handshakes: JoinSet::new() }
    }

    /// With TLS where there is any.
    pub fn new(tcp: TcpListener, tls: Option<Arc<ServerTls>>, application: Application) -> Self {
        Self { tls: tls.map(|tls| (tls, application)), ..Self::plain(tcp) }
    }

    /// Asks about each connection, before a byte of it is read. One that gets no seat is closed.
    #[must_use]
    pub fn admitting(self, admit: impl Fn(SocketAddr) -> Option<Seat> + Send + Sync + 'static) -> Self {
        Self { admit: Some(Arc::new(admit)), ..self }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system can't say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// The next connection. Dropping the future loses none.
    pub async fn accept(&mut self) -> Accepted {
        loop {
            let has_room = self.handshakes.len() < HANDSHAKES_MAX;
            tokio::select! {
                biased;
                Some(ended) = self.handshakes.join_next(), if !self.handshakes.is_empty() => {
                    // A handshake that panicked is a connection less.
                    if let Ok(Some(ready)) = ended {
                        return ready;
                    }
                }
                accepted = self.tcp.accept(), if has_room => match accepted {
                    Ok((stream, from)) => {
                        let seat = match &self.admit {
                            None => None,
                            Some(admit) => match admit(from) {
                                None => continue,
                                seat => seat,
                            },
                        };
                        // Without it answers only come later.
                        let _ = stream.set_nodelay(true);
                        match &self.tls {
                            None => return Accepted { io: Io::Plain(stream), from, seat },
                            Some((tls, application)) => {
                                let config = tls.current().config(*application);
                                let handshake = handshake(TlsAcceptor::from(config), stream, from);
                                self.handshakes.spawn(async move {
                                    let io = handshake.await?;
                                    Some(Accepted { io, from, seat })
                                });
                            }
                        }
                    }
                    Err(error) if is_of_the_client(&error) => {}
                    Err(error) => {
                        tracing::error!(%error, "no connection can be accepted; trying again");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
    }

    /// The connections as tonic's server takes them; where there are seats, they are given up at once.
    pub fn incoming(self) -> impl Stream<Item = io::Result<Io>> {
        futures::stream::unfold(self, |mut listener| async move {
            let Accepted { io, .. } = listener.accept().await;
            Some((Ok(io), listener))
        })
    }
}

fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn handshake(acceptor: TlsAcceptor, stream: TcpStream, from: SocketAddr) -> Option<Io> {
    match tokio::time::timeout(HANDSHAKE_TIME_MAX, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some(Io::Tls(Box::new(stream.into()))),
        Ok(Err(error)) => {
            // Not louder: anybody who can connect could fill the log.
            tracing::debug!(%from, error = chain(&error), "a client's TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!(%from, "a client's TLS handshake took too long");
            None
        }
    }
}
