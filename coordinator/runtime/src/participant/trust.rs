//! Whom to trust when a participant is called, and the certificate to show to it.
//!
//! A registration names files on the server's machine; without them the server's own settings hold. Files are read when a
//! participant is registered and looked after by the server's keeper. Invariants: a participant whose files can't be read is
//! not called with other ones; nothing here is read while a call waits.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use amends_tls::{ClientFiles, ClientTls, Keeper, TlsError};

use crate::error::with_sources;

/// TLS as a participant's registration has it. Files are PEM files on the server's machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TlsSettings {
    /// The authorities to trust instead of the server's.
    pub ca_file: Option<PathBuf>,
    /// The certificate to show and its key, instead of the server's.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name that the participant's certificate must have, where that isn't the host.
    pub server_name: Option<String>,
}

type Known = Result<Arc<ClientTls>, String>;

/// The files that were read.
#[derive(Debug)]
pub struct Trust {
    /// Where a registration says nothing.
    usual: ClientFiles,
    known: RwLock<BTreeMap<ClientFiles, Known>>,
    keeper: Keeper,
}

impl Trust {
    /// `usual`: what holds where a registration says nothing. `keeper`: who looks after all files. Blocks.
    ///
    /// # Errors
    /// When the usual files can't be used.
    pub fn new(usual: ClientFiles, keeper: Keeper) -> Result<Self, TlsError> {
        let trust = Self { known: RwLock::default(), keeper, usual: usual.clone() };
        trust.read(usual)?;
        Ok(trust)
    }

    /// Trusts the public authorities only, and shows no certificate.
    ///
    /// # Errors
    /// Where rustls can't be set up at all.
    pub fn public() -> Result<Self, TlsError> {
        Self::new(ClientFiles { public: true, ..ClientFiles::default() }, Keeper::default())
    }

    /// Reads a registration's files, where they aren't known yet. Blocks.
    ///
    /// # Errors
    /// When they can't be used.
    pub fn load(&self, settings: &TlsSettings) -> Result<(), TlsError> {
        let files = self.files(settings);
        if matches!(self.known(&files), Some(Ok(_))) {
            return Ok(());
        }
        self.read(files)
    }

    /// Tries again what couldn't be read. Blocks.
    pub fn mend(&self) {
        let broken: Vec<ClientFiles> = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            known.iter().filter(|(_, read)| read.is_err()).map(|(files, _)| files.clone()).collect()
        };
        for files in broken {
            if self.read(files).is_ok() {
                tracing::info!("TLS files of a participant that couldn't be used can be used now");
            }
        }
    }

    /// Why a participant with these settings can't be called over TLS; `None`: it can.
    pub fn problem(&self, settings: &TlsSettings) -> Option<String> {
        self.get(settings).err()
    }

    pub(super) fn get(&self, settings: &TlsSettings) -> Known {
        self.known(&self.files(settings))
            .unwrap_or_else(|| Err("the registration's files haven't been read".to_owned()))
    }

    fn known(&self, files: &ClientFiles) -> Option<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(files).cloned()
    }

    fn read(&self, files: ClientFiles) -> Result<(), TlsError> {
        let what = match files == self.usual {
            true => "participants: outgoing_tls and egress.ca_file".to_owned(),
            false => {
                let first = files.identity.as_ref().map(|(certificate, _)| certificate).or(files.ca.first());
                format!("participant: {}", first.map(|path| path.display().to_string()).unwrap_or_default())
            }
        };
        let read = ClientTls::open(files.clone()).map(Arc::new);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(tls) => {
                self.keeper.watch(what, tls.clone());
                known.insert(files, Ok(tls));
                Ok(())
            }
            Err(error) => {
                known.insert(files, Err(with_sources(&error)));
                Err(error)
            }
        }
    }

    fn files(&self, settings: &TlsSettings) -> ClientFiles {
        let mut files = self.usual.clone();
        if let Some(ca) = &settings.ca_file {
            files.public = false;
            files.ca = vec![ca.clone()];
        }
        if settings.identity.is_some() {
            files.identity.clone_from(&settings.identity);
        }
        files
    }
}
