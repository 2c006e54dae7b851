//! The console: who is let in, what every answer carries, and what each page shows.

mod sagas;

use crate::access::Access;
use crate::harness::{Memory, Server};
use crate::http::client::{self, Answer};

/// A browser: what it keeps between requests.
pub(crate) struct Browser<'a> {
    server: &'a Server,
    cookies: Vec<(String, String)>,
}

impl<'a> Browser<'a> {
    pub(crate) fn new(server: &'a Server) -> Self {
        Self { server, cookies: Vec::new() }
    }

    /// One that has logged in.
    pub(crate) async fn known(server: &'a Server, token: &str) -> Self {
        let mut browser = Self::new(server);
        browser.get("/console/login").await;
        let answer = browser.post("/console/login", &[("token", token), ("next", "/console")]).await;
        assert_eq!((answer.status, answer.header("location")), (303, "/console"), "{answer:?}");
        browser
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[], String::new()).await
    }

    /// A page that is there.
    pub(crate) async fn page(&mut self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        check(path, &answer);
        answer.text
    }

    /// Sends a form as a page of the console does.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.cookie("amends-csrf").unwrap_or_default();
        let origin = format!("http://{}", self.server.http);
        let fields = [&[("csrf", csrf.as_str())], fields].concat();
        self.send("POST", path, &[("origin", origin.as_str())], form(&fields)).await
    }

    pub(crate) async fn send(&mut self, verb: &str, path: &str, headers: &[(&str, &str)], body: String) -> Answer {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut all = vec![("accept", "text/html"), ("cookie", cookies.as_str())];
        if verb == "POST" {
            all.push(("content-type", "application/x-www-form-urlencoded"));
        }
        all.extend(headers);
        let answer = client::ask(self.server, verb, path, &all, body).await;
        for set in answer.headers.get_all("set-cookie") {
            let set = set.to_str().unwrap();
            assert!(set.contains("; HttpOnly; SameSite=Strict"), "{set}");
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(given, _)| given != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.iter().find(|(given, _)| given == name).map(|(_, value)| value.clone())
    }
}

pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// What holds for every page.
fn check(path: &str, answer: &Answer) {
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{path}: {policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("referrer-policy", "same-origin"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(answer.header(name), value, "{path}");
    }
    assert!(!answer.text.contains("style="), "{path} has a style of its own");
    for tag in answer.text.split("<script").skip(1) {
        assert!(tag.starts_with(" src=\"/console/assets/"), "{path}: a script of its own: {tag:.60}");
    }
    for at in ["http://", "https://", "//"] {
        let leads_out = |attribute: &str| answer.text.contains(&format!("{attribute}=\"{at}"));
        assert!(!leads_out("src") && !leads_out("href") && !leads_out("action"), "{path} leads elsewhere");
    }
    // What others wrote stands between tags; within them there is only what we wrote.
    for tag in answer.text.split('<').skip(1).filter_map(|rest| rest.split('>').next()) {
        assert!(
            ![" onclick=", " onload=", " onerror=", "javascript:"].iter().any(|it| tag.contains(it)),
            "{path}: {tag}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_is_led_to_the_console_and_a_program_to_the_list() {
    let server = Server::start(&Memory::in_memory()).await;
    let led = client::ask(&server, "GET", "/", &[("accept", "text/html,*/*;q=0.8")], "").await;
    assert_eq!((led.status, led.header("location")), (303, "/console"));
    let list = client::ask(&server, "GET", "/", &[("accept", "*/*")], "").await;
    assert!(list.status == 200 && list.text.contains("POST /v1/sagas"), "{list:?}");
    let page = Browser::new(&server).page("/console").await;
    assert!(page.contains("anonymous@127.0.0.1"), "{page}");
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_sees_the_login_and_nothing_else() {
    let memory = Memory::in_memory();
    let mut access = Access::new();
    let token = access.add("mara", "{ roles: [viewer], namespaces: ['*'] }");
    let server = Server::start_with(&memory, access.config(&memory)).await;
    let mut stranger = Browser::new(&server);
    for path in ["/console", "/console/sagas", "/console/sagas/o-1?namespace=shop", "/console/elsewhere"] {
        let answer = stranger.get(path).await;
        assert_eq!(answer.status, 401, "{path}");
        check(path, &answer);
        assert!(answer.text.contains(&format!("name=\"next\" value=\"{path}\"")), "it leads back: {}", answer.text);
    }
    for wrong in ["", "amends_made_up", "ungültig"] {
        let answer = stranger.post("/console/login", &[("token", wrong)]).await;
        assert_eq!((answer.status, stranger.cookie("amends-token")), (422, None), "{wrong}: {answer:?}");
    }
    let mut known = Browser::known(&server, &token).await;
    assert!(known.page("/console").await.contains("mara"));
    assert_eq!(known.get("/console/elsewhere").await.status, 404);
    known.post("/console/logout", &[]).await;
    assert_eq!(known.get("/console").await.status, 401);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_of_somebody_else_changes_nothing() {
    let server = Server::start(&Memory::in_memory()).await;
    let mut browser = Browser::new(&server);
    browser.page("/console/login").await;
    let csrf = browser.cookie("amends-csrf").unwrap();
    let origin = format!("http://{}", server.http);
    for (what, origin, token) in [
        ("no origin", None, csrf.as_str()),
        ("another origin", Some("http://localhost:1"), csrf.as_str()),
        ("no token", Some(origin.as_str()), ""),
        ("another token", Some(origin.as_str()), "made-up"),
    ] {
        let headers: Vec<_> = origin.map(|origin| ("origin", origin)).into_iter().collect();
        let answer = browser.send("POST", "/console/login", &headers, form(&[("csrf", token), ("name", "eve")])).await;
        assert_eq!(answer.status, 403, "{what}: {answer:?}");
        assert_eq!(browser.cookie("amends-name"), None, "{what}");
    }
    browser.post("/console/login", &[("name", "mara@example.com")]).await;
    assert!(browser.page("/console").await.contains("mara@example.com"));
    server.stop().await.unwrap();
}
