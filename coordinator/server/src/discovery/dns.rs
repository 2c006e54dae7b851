//! DNS: A and AAAA records of a host, and SRV records with the addresses of their targets.
//!
//! Nothing is cached here: whoever asks again wants to know. Invariant: SRV records of which one target can't be asked for give no
//! answer, rather than half of one.

use std::net::SocketAddr;
use std::time::Duration;

use amends_runtime::participant::{FindError, Found, FoundAnswer};
use futures::future::try_join_all;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;

/// How long one server is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most targets of SRV records that are looked up.
const TARGETS_MAX: usize = 64;

/// Asks DNS servers.
#[derive(Debug)]
pub(super) struct Dns {
    /// Else why there is none.
    resolver: Result<TokioResolver, String>,
}

impl Dns {
    /// Asks these servers, or the system's.
    pub(super) fn new(servers: &[SocketAddr]) -> Self {
        Self { resolver: resolver(servers).map_err(|error| format!("DNS can't be asked: {error}")) }
    }

    /// All addresses of a host.
    pub(super) async fn addresses(&self, host: &str, port: u16) -> Result<FoundAnswer, FindError> {
        let Some((addresses, good_for)) = self.ips(host, port).await? else { return Ok(FoundAnswer::default()) };
        let found = addresses.into_iter().map(|address| Found { priority: 0, address, weight: 1 });
        Ok(FoundAnswer { found: found.collect(), good_for, index: 0 })
    }

    /// All addresses of the targets of SRV records.
    pub(super) async fn services(&self, name: &str) -> Result<FoundAnswer, FindError> {
        let Some(lookup) = answered(self.resolver()?.srv_lookup(name).await)? else {
            return Ok(FoundAnswer::default());
        };
        let mut good_for = ttl(&lookup);
        let services = lookup.answers().iter().filter_map(|record| match &record.data {
            // RFC 2782: a target of "." says that there is no such service.
            RData::SRV(service) if !service.target.is_root() => Some(service.clone()),
            _ => None,
        });
        let targets = services.take(TARGETS_MAX).map(async |service| {
            let ips = self.ips(&service.target.to_ascii(), service.port).await?;
            Ok::<_, FindError>((service, ips))
        });
        let mut found = Vec::new();
        for (service, ips) in try_join_all(targets).await? {
            let Some((addresses, good)) = ips else { continue };
            good_for = good_for.min(good);
            let (priority, weight) = (service.priority, service.weight.into());
            found.extend(addresses.into_iter().map(|address| Found { priority, address, weight }));
        }
        Ok(FoundAnswer { found, good_for, index: 0 })
    }

    async fn ips(&self, host: &str, port: u16) -> Result<Option<(Vec<SocketAddr>, Duration)>, FindError> {
        let Some(lookup) = answered(self.resolver()?.lookup_ip(host).await)? else { return Ok(None) };
        let addresses = lookup.iter().map(|ip| SocketAddr::new(ip, port)).collect();
        Ok(Some((addresses, ttl(lookup.as_lookup()))))
    }

    fn resolver(&self) -> Result<&TokioResolver, FindError> {
        self.resolver.as_ref().map_err(|why| FindError(why.clone()))
    }
}

fn resolver(servers: &[SocketAddr]) -> Result<TokioResolver, NetError> {
    let mut builder = match servers {
        [] => TokioResolver::builder_tokio()?,
        servers => {
            let servers = servers.iter().map(name_server).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    ask_as_we_do(builder.options_mut());
    builder.build()
}

fn ask_as_we_do(options: &mut ResolverOpts) {
    options.cache_size = 0;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.timeout = PATIENCE;
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let at = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    NameServerConfig::new(address.ip(), true, vec![at(ConnectionConfig::udp()), at(ConnectionConfig::tcp())])
}

/// `None`: the name has no such records.
fn answered<T>(said: Result<T, NetError>) -> Result<Option<T>, FindError> {
    match said {
        Ok(lookup) => Ok(Some(lookup)),
        Err(error) if error.is_no_records_found() => Ok(None),
        Err(error) => Err(FindError(format!("DNS doesn't tell: {error}"))),
    }
}

fn ttl(lookup: &Lookup) -> Duration {
    let least = lookup.answers().iter().map(|record| record.ttl).min();
    Duration::from_secs(least.unwrap_or_default().into())
}
