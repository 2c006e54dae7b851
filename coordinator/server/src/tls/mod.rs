//! TLS of the coordinator: its listeners, its connections to other nodes and participants, and the files of all of them.
//!
//! How files are watched, connections accepted and made is in `amends-tls`; here is which files, and who hears of them. Who may do
//! what is not decided here: `peer.rs` hands on whose certificate was shown. Invariant: files that can't be used keep the server
//! from starting, and never change one that runs.

mod findings;
mod peer;

use std::sync::Arc;

use amends_runtime::participant::{Egress, Outgoing, SystemResolver, Trust};
use amends_tls::{ClientTls, Keeper, LOOK_PERIOD, ServerTls, TlsError};
use tokio_util::sync::CancellationToken;

use crate::config::ServerConfig;
use crate::error::Error;
pub(crate) use findings::findings;
pub use peer::PeerCertificate;
pub(crate) use peer::introduce;

/// All TLS material of the server. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    /// Of the listeners; `None`: no TLS.
    pub(crate) listeners: Option<Arc<ServerTls>>,
    /// For connections to other nodes.
    pub(crate) nodes: Arc<ClientTls>,
    trust: Arc<Trust>,
    /// Who looks after the files.
    pub(crate) keeper: Keeper,
}

impl Tls {
    /// Reads all files that the settings name.
    pub(crate) async fn open(config: &ServerConfig) -> Result<Self, Error> {
        let config = config.clone();
        let opened = tokio::task::spawn_blocking(move || Self::read(&config)).await;
        opened.map_err(|_| Error::Broken("reading TLS files"))?
    }

    fn read(config: &ServerConfig) -> Result<Self, Error> {
        let of = |section| move |source: TlsError| Error::Tls { section, source: Box::new(source) };
        let keeper = Keeper::default();
        let listeners = config.tls.files().map(ServerTls::open).transpose().map_err(of("tls"))?.map(Arc::new);
        if let Some(tls) = &listeners {
            keeper.watch("tls", tls.clone());
        }
        let nodes = Arc::new(ClientTls::open(config.outgoing_tls.nodes()).map_err(of("outgoing_tls"))?);
        if config.outgoing_tls != crate::config::OutgoingTlsConfig::default() {
            keeper.watch("outgoing_tls", nodes.clone());
        }
        let participants = config.outgoing_tls.participants(config.egress.ca_file.as_ref());
        let trust = Trust::new(participants, keeper.clone()).map_err(of("egress.ca_file or outgoing_tls"))?;
        Ok(Self { listeners, nodes, trust: Arc::new(trust), keeper })
    }

    /// What participants are called with.
    pub(crate) fn outgoing(&self, egress: Egress) -> Outgoing {
        Outgoing {
            egress: Arc::new(egress),
            resolver: Arc::new(SystemResolver),
            keyring: Arc::default(),
            trust: self.trust.clone(),
        }
    }

    /// Looks at all files every few seconds, until the server stops.
    pub(crate) async fn watch(self, stopping: CancellationToken) {
        loop {
            let tls = self.clone();
            // A panic in there is logged, and the next look may do better.
            let _ = tokio::task::spawn_blocking(move || {
                tls.keeper.look();
                tls.trust.mend();
            })
            .await;
            tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                () = tokio::time::sleep(LOOK_PERIOD) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use amends_tls::testing::Authority;

    use super::*;

    #[tokio::test]
    async fn files_that_cant_be_used_keep_the_server_from_starting() {
        let authority = Authority::new();
        let (certificate, key) = authority.write("server", "localhost", 90);
        let mut config = ServerConfig::default();
        config.tls.certificate_file = Some(certificate.clone());
        config.tls.key_file = Some(key);
        assert!(Tls::open(&config).await.unwrap().listeners.is_some());
        config.tls.key_file = Some(certificate);
        let error = crate::error::chain(&Tls::open(&config).await.unwrap_err());
        assert!(error.starts_with("tls: ") && error.contains("no private key in it"), "{error}");
        let mut config = ServerConfig::default();
        config.egress.ca_file = Some(authority.path("gone.pem"));
        for text in [
            None,
            Some(""),
            Some("no certificate"),
            Some("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"),
        ] {
            if let Some(text) = text {
                amends_tls::testing::write(&authority.path("gone.pem"), text);
            }
            let error = Tls::open(&config).await.unwrap_err().to_string();
            assert!(error.contains("egress.ca_file"), "{error}");
        }
    }
}
