//! The token by which a coordinator knows this service.
//!
//! Invariants: the file is read for every request, so that a new token counts at once; neither `Debug` nor an error shows the token.

use std::path::PathBuf;

use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

/// A file with a token from `amends token new`, in one line.
#[derive(Debug, Clone)]
pub struct TokenFile(PathBuf);

/// A token that can't be had.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file can't be read.
    #[error("the token file {} can't be read", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// What is in it can't stand in a header.
    #[error("the token file {} has no token: one line of what `amends token new` prints", .0.display())]
    NoToken(PathBuf),
}

impl TokenFile {
    /// The file at this path; it needn't be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Puts the token into a request's metadata.
    ///
    /// # Errors
    /// When there is no token in the file.
    pub fn put(&self, metadata: &mut MetadataMap) -> Result<(), TokenError> {
        let Self(path) = self;
        // A few bytes of a local file.
        let text = std::fs::read_to_string(path).map_err(|source| TokenError::File { path: path.clone(), source })?;
        let bearer: Option<MetadataValue<Ascii>> = format!("Bearer {}", text.trim()).parse().ok();
        let mut bearer = bearer.filter(|_| !text.trim().is_empty()).ok_or_else(|| TokenError::NoToken(path.clone()))?;
        bearer.set_sensitive(true);
        metadata.insert("authorization", bearer);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_token_is_sent_and_none_that_isnt_one() {
        let folder = std::env::temp_dir().join(format!("amends-token-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("token");
        let file = TokenFile::new(&path);
        let sent = || {
            let mut metadata = MetadataMap::new();
            file.put(&mut metadata).map(|()| metadata.get("authorization").unwrap().to_str().unwrap().to_owned())
        };
        assert!(sent().unwrap_err().to_string().contains("token"), "there is no file");
        std::fs::write(&path, "amends_one\n").unwrap();
        assert_eq!(sent().unwrap(), "Bearer amends_one");
        std::fs::write(&path, "amends_two").unwrap();
        assert_eq!(sent().unwrap(), "Bearer amends_two");
        for wrong in ["", " \n", "a\nb"] {
            std::fs::write(&path, wrong).unwrap();
            assert!(matches!(sent(), Err(TokenError::NoToken(_))), "{wrong:?}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
