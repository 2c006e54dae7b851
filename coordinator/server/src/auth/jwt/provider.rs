//! The cryptography for tokens: `ring` checks signatures; nothing is ever signed.
//!
//! Invariant: an algorithm and a key that don't belong together are refused before anything is computed.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::signature::{self as ring_signature, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};

static PROVIDER: CryptoProvider =
    CryptoProvider { signer_factory: no_signer, verifier_factory: verifier, key_utils: KeyUtils::new_unimplemented() };

/// Makes it this process's. Again is fine.
pub(super) fn install() {
    // The first one stays, and it is this one: nobody else here uses the library.
    let _ = PROVIDER.install_default();
}

fn no_signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    Err(ErrorKind::InvalidAlgorithm.into())
}

#[derive(Debug)]
enum Key {
    Rsa(&'static ring_signature::RsaParameters, Vec<u8>, Vec<u8>),
    Point(&'static dyn VerificationAlgorithm, Vec<u8>),
}

struct Checker {
    algorithm: Algorithm,
    key: Key,
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    let rsa = |parameters| match (key.family(), key.kind()) {
        (AlgorithmFamily::Rsa, DecodingKeyKind::RsaModulusExponent { n, e }) => {
            Ok(Key::Rsa(parameters, n.clone(), e.clone()))
        }
        _ => Err(Error::from(ErrorKind::InvalidKeyFormat)),
    };
    let point = |family, curve| {
        if key.family() != family {
            return Err(Error::from(ErrorKind::InvalidKeyFormat));
        }
        Ok(Key::Point(curve, key.try_get_as_bytes()?.to_vec()))
    };
    let key = match algorithm {
        Algorithm::RS256 => rsa(&ring_signature::RSA_PKCS1_2048_8192_SHA256)?,
        Algorithm::RS384 => rsa(&ring_signature::RSA_PKCS1_2048_8192_SHA384)?,
        Algorithm::RS512 => rsa(&ring_signature::RSA_PKCS1_2048_8192_SHA512)?,
        Algorithm::PS256 => rsa(&ring_signature::RSA_PSS_2048_8192_SHA256)?,
        Algorithm::PS384 => rsa(&ring_signature::RSA_PSS_2048_8192_SHA384)?,
        Algorithm::PS512 => rsa(&ring_signature::RSA_PSS_2048_8192_SHA512)?,
        Algorithm::ES256 => point(AlgorithmFamily::Ec, &ring_signature::ECDSA_P256_SHA256_FIXED)?,
        Algorithm::ES384 => point(AlgorithmFamily::Ec, &ring_signature::ECDSA_P384_SHA384_FIXED)?,
        Algorithm::EdDSA => point(AlgorithmFamily::Ed, &ring_signature::ED25519)?,
        _ => return Err(ErrorKind::InvalidAlgorithm.into()),
    };
    Ok(Box::new(Checker { algorithm: *algorithm, key }))
}

impl signature::Verifier<Vec<u8>> for Checker {
    fn verify(&self, message: &[u8], given: &Vec<u8>) -> Result<(), signature::Error> {
        let checked = match &self.key {
            Key::Rsa(parameters, n, e) => RsaPublicKeyComponents { n, e }.verify(parameters, message, given),
            Key::Point(algorithm, key) => UnparsedPublicKey::new(*algorithm, key).verify(message, given),
        };
        checked.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Checker {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
