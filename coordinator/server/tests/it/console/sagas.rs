//! The pages about sagas: what they show to whom, and that a verb does what the same call over gRPC does.

use http_body_util::BodyExt as _;
use tonic::Code;

use amends_proto::v1;

use super::{Browser, check, form};
use crate::access::{Access, of};
use crate::harness::{CHECKOUT, Memory, Server, checkout, json, on_both_stores, seconds};
use crate::http::client;
use crate::shop::{Answer, Shop};

on_both_stores! { every_page_shows_what_is_there }

/// What somebody could put into an input, and a participant into its answer.
const MARKUP: &str = "<script>alert(1)</script>";
/// A member of an input, as a page shows it.
const AMOUNT: &str = "&#34;amount&#34;: ";
const ANSWER: &str = "<img src=x onerror=alert(2)>";

/// A checkout whose charge is refused, and whose reservation can't be released.
async fn stuck(server: &mut Server, shop: &Shop, id: &str) {
    shop.always("Charge", Answer::Says(Code::FailedPrecondition, ANSWER));
    shop.always("Release", Answer::Says(Code::Unavailable, ANSWER));
    let input = json(&format!(r#"{{"order_id":"{MARKUP}","amount":9007199254740993}}"#));
    let start = v1::StartSagaRequest { input, wait: seconds(60), ..checkout(id) };
    assert_eq!(server.sagas.start(start).await.unwrap().into_inner().status(), v1::SagaStatus::Stuck);
}

async fn every_page_shows_what_is_there(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    assert!(Browser::new(&server).page("/console/sagas").await.contains("There are no sagas in namespace default yet"));
    server.run("done-1").await;
    stuck(&mut server, &shop, "stuck-1").await;
    shop.always("Reserve", Answer::Held);
    server.sagas.start(checkout("open-1")).await.unwrap();
    let mut browser = Browser::new(&server);
    let home = browser.page("/console").await;
    for words in ["/console/sagas/stuck-1", "retries exhausted", "shards have", "Rates", "survives"] {
        assert!(home.contains(words), "{words}: {home}");
    }
    let list = browser.page("/console/sagas").await;
    assert!(["done-1", "stuck-1", "open-1"].iter().all(|id| list.contains(&format!("href=\"/console/sagas/{id}\""))));
    let narrowed = browser.page("/console/sagas?status=stuck&definition=checkout").await;
    assert!(narrowed.contains("sagas/stuck-1") && !narrowed.contains("sagas/done-1"), "{narrowed}");
    let unread = browser.page("/console/sagas?status=stuk").await;
    assert!(unread.contains("This filter can't be read") && !unread.contains("sagas/done-1"), "{unread}");
    let page = browser.page("/console/sagas/stuck-1").await;
    for words in [
        "shop.v1.Shop/Release",
        "&#60;img src=x onerror=alert(2)&#62;",
        "&#60;script&#62;alert(1)&#60;/script&#62;",
        "\n  &#34;amount&#34;: 9007199254740993\n",
        "<svg class=\"bars\"",
        "<svg class=\"graph\"",
        "data-live=\"/console/sagas/stuck-1/live\"",
        "/console/sagas/stuck-1/do/skip?step=reserve&#38;operation=compensate",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("<script>alert") && !page.contains("<img"), "{page}");
    let done = browser.page("/console/sagas/done-1").await;
    assert!(!done.contains("data-live=") && !done.contains("/do/"), "nothing is left to follow or to do: {done}");
    browser.page("/console/sagas/open-1").await;
    for verb in VERBS {
        let page = browser.page(&format!("/console/sagas/stuck-1/do/{verb}?step=reserve&operation=compensate")).await;
        assert!(page.contains("name=\"reason\" required"), "{verb}: {page}");
    }
    let retry = browser.page("/console/sagas/stuck-1/do/retry").await;
    assert!(retry.contains("shop.v1.Shop/Release"), "it says what is called: {retry}");
    for path in ["/console/sagas/nobody", "/console/sagas/stuck-1/do/explode", "/console/sagas/stuck-1?namespace=other"]
    {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        check(path, &answer);
    }
    shop.let_go();
    server.stop().await.unwrap();
}

const VERBS: [&str; 10] =
    ["retry", "skip", "happened", "did-not-happen", "pause", "resume", "cancel", "force-stop", "acknowledge", "repin"];

/// The revision that a verb's page carries.
fn revision(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"revision\" value=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// Opens the page before a verb, and sends its form.
async fn act(browser: &mut Browser<'_>, id: &str, verb: &str, fields: &[(&str, &str)]) -> client::Answer {
    let path = format!("/console/sagas/{id}/do/{verb}");
    let revision = revision(&browser.page(&path).await);
    let fields = [&[("revision", revision.as_str()), ("reason", "because I looked")], fields].concat();
    browser.post(&path, &fields).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verbs_do_what_they_say() {
    let (mut server, shop) = Server::with_shop(&Memory::sqlite()).await;
    for id in ["skip", "happened", "retry", "stop", "late"] {
        stuck(&mut server, &shop, id).await;
    }
    let mut sagas = server.sagas.clone();
    let mut status = async |id: &str| {
        let wanted = v1::GetSagaRequest { saga_id: id.to_owned(), ..Default::default() };
        sagas.get(wanted).await.unwrap().into_inner().status()
    };
    let mut browser = Browser::new(&server);
    let release = [("step", "reserve"), ("operation", "compensate")];
    for (id, verb, fields) in [("skip", "skip", &release[..]), ("happened", "happened", &release)] {
        let answer = act(&mut browser, id, verb, fields).await;
        let expected = format!("/console/sagas/{id}?done={verb}");
        assert_eq!((answer.status, answer.header("location")), (303, expected.as_str()), "{answer:?}");
        assert_eq!(status(id).await, v1::SagaStatus::Compensated, "{id}");
        assert!(browser.page(answer.header("location")).await.contains("because I looked"));
    }
    assert_eq!(act(&mut browser, "late", "acknowledge", &[]).await.status, 303);
    let page = browser.page("/console/sagas/late").await;
    assert!(page.contains("looks after it") && !page.contains("/do/acknowledge"), "{page}");
    assert!(!browser.page("/console").await.contains("/console/sagas/late\""), "it needs nobody else");
    assert_eq!(act(&mut browser, "stop", "force-stop", &[("confirm", "stopp")]).await.status, 400);
    assert_eq!(status("stop").await, v1::SagaStatus::Stuck);
    assert_eq!(act(&mut browser, "stop", "force-stop", &[("confirm", "stop")]).await.status, 303);
    assert_eq!(status("stop").await, v1::SagaStatus::ForceStopped);
    assert_eq!(act(&mut browser, "late", "pause", &[]).await.status, 303);
    let paused = browser.page("/console/sagas/late").await;
    assert!(paused.contains("/do/resume") && !paused.contains("/do/pause"), "{paused}");
    assert_eq!(act(&mut browser, "late", "resume", &[]).await.status, 303);
    let nowhere = act(&mut browser, "late", "repin", &[("version", "7")]).await;
    assert!(matches!(nowhere.status, 400 | 404), "{nowhere:?}");
    let refused = act(&mut browser, "late", "cancel", &[]).await;
    check("a refusal", &refused);
    shop.always("Release", Answer::Done);
    assert_eq!(act(&mut browser, "retry", "retry", &[]).await.status, 303);
    assert_eq!(server.end_of("retry").await.status(), v1::SagaStatus::Compensated);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saga_is_changed_only_as_it_was_seen() {
    let (mut server, shop) = Server::with_shop(&Memory::sqlite()).await;
    stuck(&mut server, &shop, "order-1").await;
    let before = server.get("order-1").await;
    let mut browser = Browser::new(&server);
    let path = "/console/sagas/order-1/do/skip";
    let page = browser.page(path).await;
    let revision = revision(&page);
    assert_eq!(revision, before.revision.to_string());
    let csrf = browser.cookie("amends-csrf").unwrap();
    let good = [("step", "reserve"), ("reason", "why"), ("revision", revision.as_str())];
    let origin = format!("http://{}", server.http);
    for (what, origin, csrf) in [
        ("no token", origin.as_str(), ""),
        ("another's token", origin.as_str(), "made-up"),
        ("another site", "https://evil.example", csrf.as_str()),
        ("no origin", "null", csrf.as_str()),
    ] {
        let body = form(&[&[("csrf", csrf)], &good[..]].concat());
        let answer = browser.send("POST", path, &[("origin", origin)], body).await;
        assert_eq!(answer.status, 403, "{what}: {answer:?}");
    }
    for (status, step, reason, revision) in [
        (400, "reserve", "", revision.as_str()),
        (400, "reserve", "why", ""),
        (400, "reserve", "why", "two"),
        (409, "reserve", "why", "1"),
        (404, "nothing", "why", revision.as_str()),
    ] {
        let answer = browser.post(path, &[("step", step), ("reason", reason), ("revision", revision)]).await;
        assert_eq!(answer.status, status, "{step} {reason} {revision}: {answer:?}");
        check(path, &answer);
    }
    assert_eq!(server.get("order-1").await, before, "nothing of all that changed it");
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_hold() {
    let memory = Memory::sqlite();
    let mut access = Access::new();
    let mut known =
        |name: &str, roles: &str| access.add(name, &format!("{{ roles: [{roles}], namespaces: [default] }}"));
    let [admin, viewer, operator] =
        [("root", "admin"), ("vera", "viewer"), ("otto", "operator")].map(|it| known(it.0, it.1));
    let elsewhere = access.add("ella", "{ roles: [viewer], namespaces: [shop] }");
    let mut server = Server::start_with(&memory, access.config(&memory)).await;
    let shop = Shop::open().await;
    let participant =
        v1::Participant { name: "shop".to_owned(), endpoints: vec![shop.address.clone()], ..Default::default() };
    let put = v1::PutParticipantRequest { participant: Some(participant), expected_revision: 0 };
    server.participants.put(of(&admin, put)).await.unwrap();
    let definition = v1::RegisterDefinitionRequest { source: CHECKOUT.to_owned(), ..Default::default() };
    server.definitions.register(of(&admin, definition)).await.unwrap();
    shop.always("Charge", Answer::Says(Code::FailedPrecondition, "no"));
    shop.always("Release", Answer::Says(Code::Unavailable, "closed"));
    server.sagas.start(of(&admin, v1::StartSagaRequest { wait: seconds(60), ..checkout("order-1") })).await.unwrap();

    let mut vera = Browser::known(&server, &viewer).await;
    let page = vera.page("/console/sagas/order-1").await;
    assert!(!page.contains("/do/") && !page.contains("Ask the participants"), "{page}");
    assert!(page.contains("left out: payloads are for the roles") && !page.contains(AMOUNT), "{page}");
    assert_eq!(vera.get("/console/sagas/order-1/do/retry").await.status, 403);
    for verb in VERBS {
        let fields = [("revision", "9"), ("reason", "why"), ("step", "reserve"), ("confirm", "order-1")];
        let answer = vera.post(&format!("/console/sagas/order-1/do/{verb}"), &fields).await;
        assert_eq!(answer.status, 403, "{verb}: {answer:?}");
    }
    assert!(!vera.page("/console/sagas?status=stuck").await.contains("id=\"bulk\""));

    let mut otto = Browser::known(&server, &operator).await;
    let page = otto.page("/console/sagas/order-1").await;
    assert!(page.contains("/do/retry") && !page.contains(AMOUNT), "repairs, and sees no payloads: {page}");
    assert!(otto.page("/console/sagas?status=stuck").await.contains("id=\"bulk\""));
    assert_eq!(act(&mut otto, "order-1", "acknowledge", &[]).await.status, 303);
    assert!(otto.page("/console/sagas/order-1").await.contains("otto looks after it"));

    let mut root = Browser::known(&server, &admin).await;
    assert!(root.page("/console/sagas/order-1").await.contains(AMOUNT));
    let mut ella = Browser::known(&server, &elsewhere).await;
    assert_eq!(ella.get("/console/sagas/order-1").await.status, 403);
    ella.page("/console?namespace=shop").await;
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_page_hears_of_every_change_until_the_end() {
    let (mut server, shop) = Server::with_shop(&Memory::sqlite()).await;
    shop.always("Charge", Answer::Held);
    server.sagas.start(checkout("order-1")).await.unwrap();
    shop.is_called("Charge").await;
    let mut events = client::open(&server, "GET", "/console/sagas/order-1/live", &[], "").await;
    assert_eq!(events.status(), 200);
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let mut heard = String::new();
    let mut next = async || {
        let frame = events.body_mut().frame().await?;
        Some(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
    };
    heard.push_str(&next().await.unwrap());
    assert!(heard.contains("event: changed"), "{heard}");
    shop.let_go();
    while let Some(more) = next().await {
        heard.push_str(&more);
    }
    assert_eq!(heard.matches("event: ended").count(), 1, "{heard}");
    assert!(!heard.contains("order_id"), "nothing of the saga itself: {heard}");
    assert_eq!(client::get(&server, "/console/sagas/nobody/live").await.status, 404);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_match_go_to_a_plan() {
    let (mut server, shop) = Server::with_shop(&Memory::sqlite()).await;
    for id in ["order-1", "order-2"] {
        stuck(&mut server, &shop, id).await;
    }
    let mut browser = Browser::new(&server);
    let list = browser.page("/console/sagas?status=stuck&definition=checkout").await;
    let filter = "status=stuck&definition=checkout";
    assert!(list.contains("name=\"filter\" value=\"status=stuck&#38;definition=checkout\""), "{list}");
    let fields = [("filter", filter), ("verb", "retry"), ("reason", "the shop is open again")];
    let planned = browser.post("/console/sagas/plan", &fields).await;
    let leads_to = planned.header("location").to_owned();
    assert!(planned.status == 303 && leads_to.starts_with("/console/batches/"), "{planned:?}");
    let plan = browser.page(&leads_to).await;
    assert!(plan.contains("order-1") && plan.contains("order-2"), "{plan}");
    assert_eq!(server.get("order-1").await.status(), v1::SagaStatus::Stuck, "nothing is done yet");
    let mut browser = Browser::new(&server);
    browser.page("/console/login").await;
    for (what, fields) in [
        ("no reason", [("filter", filter), ("verb", "retry"), ("reason", "")]),
        ("no verb", [("filter", filter), ("verb", "explode"), ("reason", "why")]),
        ("no filter", [("filter", ""), ("verb", "retry"), ("reason", "why")]),
        ("no such filter", [("filter", "status=stuk"), ("verb", "retry"), ("reason", "why")]),
    ] {
        assert_eq!(browser.post("/console/sagas/plan", &fields).await.status, 400, "{what}");
    }
    server.stop().await.unwrap();
}
