//! Asking DNS, and Consul where it is built in, for participants' addresses.
//!
//! It only asks: when, and what an answer means, is decided in the runtime. Invariant: an answer without addresses and nobody who
//! answers are told apart.

#[cfg(any(feature = "consul", test))]
mod consul;
mod dns;

use amends_runtime::participant::{Find, FindError, FoundAnswer, Source, SourceKind};

use crate::config::DiscoveryConfig;

/// Asks whoever a source names.
#[derive(Debug)]
pub(crate) struct Finder {
    dns: dns::Dns,
    #[cfg(feature = "consul")]
    consul: consul::Consul,
}

impl Finder {
    /// Asks nobody yet.
    pub(crate) fn new(config: &DiscoveryConfig) -> Self {
        Self {
            dns: dns::Dns::new(config.dns_servers.as_deref().unwrap_or_default()),
            #[cfg(feature = "consul")]
            consul: consul::Consul::new(config.consul.as_deref()),
        }
    }
}

#[async_trait::async_trait]
impl Find for Finder {
    async fn find(&self, source: &Source, since: u64) -> Result<FoundAnswer, FindError> {
        match &source.kind {
            SourceKind::Dns { host, port } => self.dns.addresses(host, *port).await,
            SourceKind::Srv { name } => self.dns.services(name).await,
            #[cfg(feature = "consul")]
            SourceKind::Consul { service } => self.consul.instances(service, since).await,
            #[cfg(not(feature = "consul"))]
            SourceKind::Consul { .. } => {
                let _ = since;
                Err(FindError("this program was built without Consul".to_owned()))
            }
        }
    }
}
