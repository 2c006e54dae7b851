//! Versions before TLS 1.2. rustls can't speak them, so a client's greeting of TLS 1.1 is written by hand.

use amends_tls::testing::Authority;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::clients::serve;

/// A ClientHello (RFC 4346) of this version: an empty session, two cipher suites, no compression, and signature algorithms.
fn hello(minor: u8) -> Vec<u8> {
    let mut body = vec![3, minor];
    body.extend([7; 32]);
    body.push(0);
    // TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, TLS_RSA_WITH_AES_128_CBC_SHA
    body.extend([0, 4, 0xc0, 0x13, 0x00, 0x2f]);
    body.extend([1, 0]);
    // rsa_pkcs1_sha256, ecdsa_secp256r1_sha256; without them the greeting is refused before its version is looked at.
    body.extend([0, 10, 0, 13, 0, 6, 0, 4, 4, 1, 4, 3]);
    let length = u8::try_from(body.len()).unwrap();
    let mut message = vec![1, 0, 0, length];
    message.extend(body);
    let mut record = vec![22, 3, 1, 0, length + 4];
    record.extend(message);
    record
}

#[tokio::test]
async fn tls_1_1_and_1_0_are_refused_by_name() {
    let authority = Authority::new();
    let address = serve(authority.server()).await;
    for minor in [1, 2] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&hello(minor)).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        // An alert (21), fatal (2): protocol_version (70).
        assert_eq!((answer.first(), answer.get(5..7)), (Some(&21), Some(&[2, 70][..])), "3.{minor}: {answer:?}");
    }
}
