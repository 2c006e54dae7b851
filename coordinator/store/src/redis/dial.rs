//! Finds the server to connect to: the one in the address, the master that the Sentinels name, or a node of a Cluster.
//!
//! Makes no connection of its own but to Sentinels. Invariant: what a password reaches is only the client that is made here.

use redis::sentinel::{Sentinel, SentinelClientBuilder, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{
    Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo as _, RedisConnectionInfo, RedisError,
    RedisResult, TlsMode,
};
use tokio::sync::Mutex;

use super::address::{Address, Kind};
use super::certificates::{Certificates, TlsFiles};
use super::link::tcp_settings;

/// Clients, each by what to call its server in messages.
pub(super) type Clients = Vec<(String, RedisResult<Client>)>;

/// How to find servers.
pub(super) struct Dialer {
    address: Address,
    certificates: Certificates,
    /// The library's client of the Sentinels, which remembers those that answer. Over TLS one is made for every look, since it
    /// keeps the certificates that it was made with.
    sentinel: Option<Mutex<Sentinel>>,
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialer").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Dialer {
    pub(super) fn new(address: Address, tls: TlsFiles) -> RedisResult<Self> {
        let sentinel = match &address.kind {
            Kind::Sentinel { password, .. } if !address.tls => {
                let login = sentinel_login(password.as_deref());
                let infos = address.hosts.iter().map(|(host, port)| info(&address, host, *port, login.clone()));
                Some(Mutex::new(Sentinel::build(infos.collect::<RedisResult<Vec<_>>>()?)?))
            }
            Kind::Sentinel { .. } | Kind::Standalone { .. } | Kind::Cluster => None,
        };
        Ok(Self { address, certificates: Certificates::new(tls), sentinel })
    }

    /// The master's name, and a client of each Sentinel of the address; `None` where there are none.
    pub(super) async fn sentinels(&self) -> Option<(String, Clients)> {
        let Kind::Sentinel { master, password, .. } = &self.address.kind else { return None };
        let login = sentinel_login(password.as_deref());
        let mut clients = Clients::new();
        for (host, port) in &self.address.hosts {
            let client = match info(&self.address, host, *port, login.clone()) {
                Ok(info) => self.secured(info).await,
                Err(error) => Err(error),
            };
            clients.push((format!("{host}:{port}"), client));
        }
        Some((master.clone(), clients))
    }

    /// Where it goes, for people.
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// A client of the server, and what to call it in messages. `to`: host and port of a node of a Cluster.
    pub(super) async fn client(&self, to: Option<&str>) -> RedisResult<(Client, String)> {
        if let Some(to) = to {
            let (host, port) = split(to)?;
            return Ok((self.open(host, port, 0).await?, to.to_owned()));
        }
        match (&self.address.kind, &self.sentinel) {
            (Kind::Sentinel { master, db, .. }, Some(sentinel)) => {
                let node = SentinelNodeConnectionInfo::default()
                    .set_redis_connection_info(self.login(*db))
                    .set_tcp_settings(tcp_settings());
                let client = sentinel.lock().await.async_master_for(master, Some(&node)).await?;
                let server = client.get_connection_info().addr().to_string();
                Ok((client, format!("{server} ({master})")))
            }
            (Kind::Sentinel { master, db, password }, None) => {
                // In a box, since the library's future is deep.
                let client = Box::pin(self.master_over_tls(master, *db, password.as_ref())).await?;
                let server = client.get_connection_info().addr().to_string();
                Ok((client, format!("{server} ({master})")))
            }
            (kind, _) => {
                let (host, port) = self.address.hosts.first().ok_or_else(nowhere)?;
                let db = if let Kind::Standalone { db } = kind { *db } else { 0 };
                Ok((self.open(host, *port, db).await?, self.address.to_string()))
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

    /// The master, asked for over TLS; the Sentinels and the servers are checked with the same authorities.
    async fn master_over_tls(&self, master: &str, db: i64, password: Option<&String>) -> RedisResult<Client> {
        let hosts = self.address.hosts.iter().map(|(host, port)| addr(&self.address, host, *port));
        let mut builder = SentinelClientBuilder::new(hosts, master, SentinelServerType::Master)?
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_redis_db(db)
            .set_client_to_redis_tcp_settings(tcp_settings())
            .set_client_to_sentinel_tcp_settings(tcp_settings());
        if let Some(certificates) = self.certificates.current().await? {
            builder = builder
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates);
        }
        if let Some(user) = &self.address.user {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = &self.address.password {
            builder = builder.set_client_to_redis_password(password);
        }
        if let Some(password) = password {
            builder = builder.set_client_to_sentinel_password(password);
        }
        builder.build()?.async_get_client().await
    }

    async fn open(&self, host: &str, port: u16, db: i64) -> RedisResult<Client> {
        self.secured(info(&self.address, host, port, self.login(db))?).await
    }

    async fn secured(&self, info: ConnectionInfo) -> RedisResult<Client> {
        let certificates = if self.address.tls { Box::pin(self.certificates.current()).await? } else { None };
        match certificates {
            Some(certificates) => Client::build_with_tls(info, certificates),
            None => Client::open(info),
        }
    }
}

/// What the Sentinels themselves want.
fn sentinel_login(password: Option<&str>) -> RedisConnectionInfo {
    let login = RedisConnectionInfo::default();
    password.map_or_else(|| login.clone(), |password| login.clone().set_password(password))
}

fn addr(address: &Address, host: &str, port: u16) -> ConnectionAddr {
    let host = host.to_owned();
    if address.tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    }
}

fn info(address: &Address, host: &str, port: u16, login: RedisConnectionInfo) -> RedisResult<ConnectionInfo> {
    Ok(addr(address, host, port).into_connection_info()?.set_redis_settings(login).set_tcp_settings(tcp_settings()))
}

/// Host and port as a Cluster names them; an IPv6 address has no brackets there.
fn split(node: &str) -> RedisResult<(&str, u16)> {
    let parts = node.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    parts.ok_or_else(nowhere)
}

fn nowhere() -> RedisError {
    (ErrorKind::InvalidClientConfig, "an address of a server can't be read").into()
}
