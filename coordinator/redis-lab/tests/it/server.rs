//! One server: what survives what, and that none is left running.

use amends_redis_lab::{Program, Server, Settings, wait_until};

#[test]
fn a_killed_server_starts_again_on_what_it_has_written() {
    let mut server = Server::start(&Settings::strict());
    server.ask::<()>(&["SET", "a", "1"]);
    server.kill();
    assert!(server.try_ask::<()>(&["PING"]).is_err());
    server.restart();
    assert_eq!(server.ask::<String>(&["GET", "a"]), "1");
    server.terminate();
    server.restart();
    assert_eq!(server.ask::<String>(&["GET", "a"]), "1");
}

#[test]
fn a_server_is_what_its_settings_say() {
    let server = Server::start(&Settings::strict().with("appendfsync", "everysec").with("save", "60 1"));
    let get = |name: &str| server.ask::<(String, String)>(&["CONFIG", "GET", name]).1;
    assert_eq!(
        ["appendonly", "appendfsync", "maxmemory-policy", "save"].map(get),
        ["yes", "everysec", "noeviction", "60 1"]
    );
    server.configure("appendfsync", "always");
    assert_eq!(get("appendfsync"), "always");
}

#[test]
fn a_paused_server_answers_once_it_is_resumed() {
    let server = Server::start(&Settings::strict());
    let mut connection = server.connect().unwrap();
    let short = Some(std::time::Duration::from_millis(100));
    connection.set_read_timeout(short).unwrap();
    server.pause();
    assert!(redis::cmd("PING").query::<()>(&mut connection).unwrap_err().is_timeout());
    server.resume();
    wait_until("an answer", || server.try_ask::<()>(&["PING"]).ok());
}

#[test]
fn valkey_waits_for_the_append_only_file() {
    let server = Server::start(&Settings::strict().on(Program::Valkey));
    let mut connection = server.connect().unwrap();
    redis::cmd("SET").arg("a").arg(1).exec(&mut connection).unwrap();
    let (local, replicas): (u32, u32) = redis::cmd("WAITAOF").arg(1).arg(0).arg(1_000).query(&mut connection).unwrap();
    assert_eq!((local, replicas), (1, 0));
}

/// The test's own thread ends before the server does, and the process of a killed test after it.
#[test]
fn a_server_outlives_the_thread_that_started_it_and_not_its_owner() {
    let server = std::thread::spawn(|| Server::start(&Settings::strict())).join().unwrap();
    server.ask::<()>(&["PING"]);
    let (address, folder) = (server.address(), server.folder().to_owned());
    drop(server);
    assert!(std::net::TcpStream::connect(address).is_err());
    assert!(!folder.exists());
}
