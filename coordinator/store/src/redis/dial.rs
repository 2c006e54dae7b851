//! Finds the server to connect to: the one in the address, the master that the Sentinels name, or a node of a Cluster.
//!
//! Makes no connection of its own but to Sentinels. Invariant: what a password reaches is only the client that is made here.

use redis::sentinel::{Sentinel, SentinelNodeConnectionInfo};
use redis::{
    Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo as _, RedisConnectionInfo, RedisError,
    RedisResult, TlsCertificates, TlsMode,
};
use tokio::sync::Mutex;

use super::address::{Address, Kind};
use super::link::tcp_settings;

/// How to find servers.
pub(super) struct Dialer {
    address: Address,
    /// Authorities to trust instead of the public ones, as PEM.
    ca: Option<Vec<u8>>,
    /// The library's client of the Sentinels, which remembers those that answer.
    sentinel: Option<Mutex<Sentinel>>,
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialer").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Dialer {
    pub(super) fn new(address: Address, ca: Option<Vec<u8>>) -> RedisResult<Self> {
        let sentinel = match &address.kind {
            Kind::Sentinel { password, .. } => {
                let mut login = RedisConnectionInfo::default();
                if let Some(password) = password {
                    login = login.set_password(password);
                }
                let infos = address.hosts.iter().map(|(host, port)| info(&address, host, *port, login.clone()));
                Some(Mutex::new(Sentinel::build(infos.collect::<RedisResult<Vec<_>>>()?)?))
            }
            Kind::Standalone { .. } | Kind::Cluster => None,
        };
        Ok(Self { address, ca, sentinel })
    }

    /// Where it goes, for people.
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// A client of the server, and what to call it in messages. `to`: host and port of a node of a Cluster.
    pub(super) async fn client(&self, to: Option<&str>) -> RedisResult<(Client, String)> {
        if let Some(to) = to {
            let (host, port) = split(to)?;
            return Ok((self.open(host, port, 0)?, to.to_owned()));
        }
        match (&self.address.kind, &self.sentinel) {
            (Kind::Sentinel { master, db, .. }, Some(sentinel)) => {
                let mut node = SentinelNodeConnectionInfo::default()
                    .set_redis_connection_info(self.login(*db))
                    .set_tcp_settings(tcp_settings());
                if self.address.tls {
                    node = node.set_tls_mode(TlsMode::Secure);
                }
                let client = sentinel.lock().await.async_master_for(master, Some(&node)).await?;
                let server = client.get_connection_info().addr().to_string();
                Ok((client, format!("{server} ({master})")))
            }
            (kind, _) => {
                let (host, port) = self.address.hosts.first().ok_or_else(nowhere)?;
                let db = if let Kind::Standalone { db } = kind { *db } else { 0 };
                Ok((self.open(host, *port, db)?, self.address.to_string()))
            }
        }
    }

    fn login(&self, db: i64) -> RedisConnectionInfo {
        let mut login = RedisConnectionInfo::default().set_db(db);
        if let Some(user) = &self.address.user {
            login = login.set_username(user);
        }
        if let Some(password) = &self.address.password {
            login = login.set_password(password);
        }
        login
    }

    fn open(&self, host: &str, port: u16, db: i64) -> RedisResult<Client> {
        let info = info(&self.address, host, port, self.login(db))?;
        match &self.ca {
            Some(ca) if self.address.tls => {
                Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: Some(ca.clone()) })
            }
            _ => Client::open(info),
        }
    }
}

fn info(address: &Address, host: &str, port: u16, login: RedisConnectionInfo) -> RedisResult<ConnectionInfo> {
    let host = host.to_owned();
    let addr = if address.tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    };
    Ok(addr.into_connection_info()?.set_redis_settings(login).set_tcp_settings(tcp_settings()))
}

/// Host and port as a Cluster names them; an IPv6 address has no brackets there.
fn split(node: &str) -> RedisResult<(&str, u16)> {
    let parts = node.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    parts.ok_or_else(nowhere)
}

fn nowhere() -> RedisError {
    (ErrorKind::InvalidClientConfig, "an address of a server can't be read").into()
}
