//! Where a call may go: what a name resolves to is checked, and what was checked is connected to.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use amends_runtime::participant::{Allow, Egress, Reply, Resolve};
use async_trait::async_trait;

use super::server::{Caller, Server, Setting, answer, notify};

/// Gives one answer after the other; the last one for ever.
#[derive(Debug)]
struct Fickle(Mutex<Vec<Vec<SocketAddr>>>, Mutex<usize>);

#[async_trait]
impl Resolve for Fickle {
    async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        *self.1.lock().unwrap() += 1;
        let mut answers = self.0.lock().unwrap();
        Ok(if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() })
    }
}

fn setting(allow: &[&str], own: &[SocketAddr], answers: Vec<Vec<SocketAddr>>) -> (Setting, Arc<Fickle>) {
    let allow: Vec<Allow> = allow.iter().map(|text| text.parse().unwrap()).collect();
    let resolver = Arc::new(Fickle(Mutex::new(answers), Mutex::default()));
    (Setting { egress: Egress::new(allow, own.to_vec()), resolver: resolver.clone(), ..Setting::default() }, resolver)
}

#[tokio::test]
async fn a_name_that_moves_between_check_and_connect_gains_nothing() {
    let (good, evil) = (
        Server::start(&[answer("200 OK", &["connection: close"], "")]).await,
        Server::start(&[answer("200 OK", &[], "")]).await,
    );
    let allowed = good.address.to_string();
    let (setting, resolver) = setting(&[&allowed], &[], vec![vec![good.address], vec![evil.address]]);
    let caller = Caller::with(&["http://merchant.example"], &[], setting);
    assert!(matches!(caller.call(notify()).await.reply, Reply::Http(_)));
    assert_eq!(
        (good.seen().len(), *resolver.1.lock().unwrap()),
        (1, 1),
        "resolved once: what was checked is connected to"
    );
    assert_eq!(good.seen()[0].header("host"), Some("merchant.example"));
    // Now it resolves to another address, which is checked anew.
    let reply = caller.call(notify()).await.reply;
    assert!(matches!(reply, Reply::NotSent(_)), "{reply:?}");
    assert_eq!((evil.connections(), *resolver.1.lock().unwrap()), (0, 2));
}

#[tokio::test]
async fn of_several_addresses_only_the_allowed_are_connected_to() {
    let (good, evil) =
        (Server::start(&[answer("200 OK", &[], "")]).await, Server::start(&[answer("200 OK", &[], "")]).await);
    let allowed = good.address.to_string();
    let (setting, _) = setting(&[&allowed], &[], vec![vec![evil.address, good.address]]);
    let caller = Caller::with(&["http://merchant.example"], &[], setting);
    assert!(matches!(caller.call(notify()).await.reply, Reply::Http(_)));
    assert_eq!((good.connections(), evil.connections()), (1, 0));
}

#[tokio::test]
async fn refused_closed_and_unknown_read_the_same() {
    let server = Server::start(&[answer("200 OK", &[], "")]).await;
    let port = server.address.port();
    let mut texts = Vec::new();
    for (host, allow, own) in [
        (format!("127.0.0.1:{port}"), &["public"][..], &[][..]),
        (format!("localhost:{port}"), &["public"], &[]),
        (format!("[::ffff:127.0.0.1]:{port}"), &["loopback", "::/0"], &[]),
        (format!("2130706433:{port}"), &["public"], &[]),
        (format!("0.0.0.0:{port}"), &["loopback", "0.0.0.0/0"], &[]),
        (format!("127.0.0.1:{port}"), &["loopback"], &[server.address]),
        ("169.254.169.254".to_owned(), &["0.0.0.0/0"], &[]),
        ("127.0.0.1:1".to_owned(), &["loopback"], &[]),
        ("no-such-name.invalid".to_owned(), &["public"], &[]),
    ] {
        let allow: Vec<Allow> = allow.iter().map(|text| text.parse().unwrap()).collect();
        let setting = Setting { egress: Egress::new(allow, own.to_vec()), ..Setting::default() };
        let reply = Caller::with(&[&format!("http://{host}")], &[], setting).call(notify()).await.reply;
        let Reply::NotSent(why) = reply else { panic!("{host}: {reply:?}") };
        texts.push(why);
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert_eq!(server.connections(), 0);
}
