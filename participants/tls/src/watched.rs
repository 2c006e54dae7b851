//! TLS material made from files, and made anew when they change.
//!
//! Each look reads the files whole, since modification times lie (a restored backup, a coarse clock) and Kubernetes swaps a
//! symbolic link above them; they are small. Reading blocks: looks belong on a blocking thread. Invariants: what
//! [`Watched::current`] gives could be used when it was made; a file that can't be used changes nothing but
//! [`Watched::problem`].

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

use ring::digest::{Context, SHA256};

use crate::certificate::{Certificate, Expiry};
use crate::error::TlsError;

/// Largest file that is read. A bundle of all public authorities has a quarter of that.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What can be made from files.
pub trait Material: Sized + Send + Sync + 'static {
    /// Which files, and what else it depends on.
    type Files: Clone + fmt::Debug + Send + Sync;

    /// The files to read, in the order that [`Material::make`] gets them.
    fn paths(files: &Self::Files) -> Vec<PathBuf>;

    /// Makes it.
    ///
    /// # Errors
    /// When the files don't hold what they must.
    fn make(files: &Self::Files, contents: &[Vec<u8>]) -> Result<Self, TlsError>;

    /// The certificate of our own in it, where there is one.
    fn own(&self) -> Option<&Certificate>;

    /// The file that certificate is from.
    fn shown(files: &Self::Files) -> String;
}

/// What a look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// Nothing new.
    Unchanged,
    /// New files, in use from now on.
    Renewed,
    /// New files that can't be used, and why; the old ones stay in use. Said once for the same files.
    Broken(String),
}

/// Material and the files that it is from.
pub struct Watched<M: Material> {
    files: M::Files,
    state: RwLock<State<M>>,
}

struct State<M> {
    current: Arc<M>,
    /// Digest of the files that `current` is from.
    used: [u8; 32],
    /// The newest files that can't be used, and why.
    broken: Option<([u8; 32], String)>,
    renewals: u64,
}

impl<M: Material> Watched<M> {
    /// Reads the files for the first time. Blocks.
    ///
    /// # Errors
    /// When they can't be used, an expired certificate of our own included: at the start that is a mistake to be told, not a
    /// reason to serve what nobody accepts.
    pub fn open(files: M::Files) -> Result<Self, TlsError> {
        let (current, used) = read::<M>(&files).1?;
        refuse_expired(&current, &files)?;
        let state = State { current: Arc::new(current), used, broken: None, renewals: 0 };
        Ok(Self { files, state: RwLock::new(state) })
    }

    /// What new connections use.
    pub fn current(&self) -> Arc<M> {
        self.state().current.clone()
    }

    /// What is wrong with the newest files; `None`: they are in use.
    pub fn problem(&self) -> Option<String> {
        self.state().broken.as_ref().map(|(_, why)| why.clone())
    }

    /// How often new files were taken up.
    pub fn renewals(&self) -> u64 {
        self.state().renewals
    }

    /// The file with our own certificate, or with the authorities where we have none.
    pub fn shown(&self) -> String {
        M::shown(&self.files)
    }

    /// Reads the files again and takes them up where they are new and can be used. Blocks.
    pub fn look(&self) -> Look {
        let (digest, made) = read::<M>(&self.files);
        let made = made.and_then(|(material, used)| {
            // An expired one is no better than what is in use, even where that is expired too.
            if used != self.state().used {
                refuse_expired(&material, &self.files)?;
            }
            Ok((material, used))
        });
        let mut state = self.state_mut();
        match made {
            Ok((_, used)) if used == state.used => {
                state.broken = None;
                Look::Unchanged
            }
            Ok((material, used)) => {
                let renewals = state.renewals.saturating_add(1);
                *state = State { current: Arc::new(material), used, broken: None, renewals };
                Look::Renewed
            }
            Err(error) => {
                let why = chain(&error);
                let is_known = state.broken.as_ref().is_some_and(|known| *known == (digest, why.clone()));
                state.broken = Some((digest, why.clone()));
                if is_known { Look::Unchanged } else { Look::Broken(why) }
            }
        }
    }

    // Nothing panics while the lock is held.
    fn state(&self) -> RwLockReadGuard<'_, State<M>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State<M>> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M: Material> fmt::Debug for Watched<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("files", &self.files).finish_non_exhaustive()
    }
}

fn refuse_expired<M: Material>(material: &M, files: &M::Files) -> Result<(), TlsError> {
    let is_over = material.own().is_some_and(|own| own.expiry(SystemTime::now()) == Expiry::Over);
    if is_over { Err(TlsError::Expired(M::shown(files).into())) } else { Ok(()) }
}

type Made<M> = Result<(M, [u8; 32]), TlsError>;

/// The digest of what could be read, and what was made of it.
fn read<M: Material>(files: &M::Files) -> ([u8; 32], Made<M>) {
    let mut context = Context::new(&SHA256);
    let mut contents = Vec::new();
    let mut failed = None;
    for path in M::paths(files) {
        match read_file(&path) {
            Ok(content) => {
                context.update(&content.len().to_be_bytes());
                context.update(&content);
                contents.push(content);
            }
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    let made = match failed {
        Some(error) => Err(error),
        None => M::make(files, &contents).map(|material| (material, digest)),
    };
    (digest, made)
}

fn read_file(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |source| TlsError::Unreadable { path: path.to_owned(), source };
    // A pipe or a device could keep us waiting for ever.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(unreadable(std::io::Error::other("it is no regular file")));
    }
    let mut content = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut content).map_err(unreadable)?;
    if content.len() as u64 > FILE_BYTES_MAX { Err(TlsError::TooLarge(path.to_owned())) } else { Ok(content) }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
