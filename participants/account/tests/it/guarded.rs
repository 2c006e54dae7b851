//! The service over TLS and for signed calls only, as its flags say: who gets how far.

use std::sync::Arc;

use amends_account::proto::HoldRequest;
use amends_account::proto::account_client::AccountClient;
use amends_participant::testing::{ServerProcess, StepCall, TestPlace};
use amends_tls::testing::{Authority, write};
use amends_tls::{ClientTls, Target};
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

async fn channel(server: &ServerProcess, tls: Arc<ClientTls>) -> Result<Channel, tonic::transport::Error> {
    let port = server.uri().rsplit(':').next().unwrap().to_owned();
    let uri = format!("https://localhost:{port}").parse().unwrap();
    Target::new(&uri, Some(tls), None).unwrap().connect().await
}

#[tokio::test]
async fn strangers_get_nowhere_and_unsigned_calls_no_further_than_the_signature() {
    let authority = Authority::new();
    let place = TestPlace::new().await;
    let (certificate, key) = authority.write("account", "localhost", 90);
    write(&authority.path("secret"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
    let text = |path: std::path::PathBuf| path.display().to_string();
    let (certificate, key, ca) = (text(certificate), text(key), text(authority.ca()));
    let signed_with = format!("file:{}", text(authority.path("secret")));
    let flags = [
        ["--tls-cert", certificate.as_str()],
        ["--tls-key", &key],
        ["--tls-client-ca", &ca],
        ["--signed-with", &signed_with],
    ];
    let program = env!("CARGO_BIN_EXE_amends-account");
    let server = ServerProcess::start(program, place.place(), &flags.concat()).unwrap();
    if let Ok(mut plain) = AccountClient::connect(server.uri()).await {
        assert!(plain.hold(StepCall::new("s", "hold").action(HoldRequest::default())).await.is_err(), "no TLS");
    }
    let open = async |identity| {
        let channel = channel(&server, authority.client(identity)).await.ok()?;
        HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.ok()?;
        Some(channel)
    };
    assert!(open(None).await.is_none(), "no certificate");
    let channel = open(Some(authority.write("coordinator", "coordinator.example", 90))).await.unwrap();
    let hold = HoldRequest { account_id: "alice".into(), hold_id: "h".into(), amount_minor: 1 };
    let refused = AccountClient::new(channel).hold(StepCall::new("s", "hold").action(hold)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(refused.message().contains("isn't signed"), "{refused:?}");
}

#[tokio::test]
async fn flags_that_cant_be_followed_keep_it_from_starting() {
    let place = TestPlace::new().await;
    let program = env!("CARGO_BIN_EXE_amends-account");
    for flags in [
        ["--signed-with", "env:AMENDS_TEST_NO_SUCH_VARIABLE"],
        ["--signed-with", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        ["--tls-cert", "/gone.pem"],
    ] {
        assert!(ServerProcess::start(program, place.place(), &flags).is_err(), "{flags:?}");
    }
}
