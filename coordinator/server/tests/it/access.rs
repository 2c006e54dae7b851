//! Who may do what, over real gRPC and HTTP: the whole table, and what it means for sagas, payloads, files and nodes.

use std::path::PathBuf;

use amends_participant::registration::Instance;
use amends_participant::token::TokenFile;
use amends_proto::v1;
use amends_proto::v1::operations_client::OperationsClient;
use amends_server::ServerConfig;
use amends_server::auth::{METHODS, Needs, Role, Secret};
use bytes::Bytes;
use http::uri::PathAndQuery;
use tonic::{Code, Request, Status};

use crate::harness::{AMOUNT, CHECKOUT, Memory, Server, checkout, json, refusal, seconds};
use crate::http::client::{self, JSON};
use crate::raw;
use crate::shop::Shop;

/// All roles, each somebody's alone, everywhere.
pub(crate) const ROLES: [Role; 6] =
    [Role::Viewer, Role::Starter, Role::Registrar, Role::Operator, Role::Admin, Role::PayloadRead];

/// An access file with its tokens.
pub(crate) struct Access {
    _folder: tempfile::TempDir,
    pub(crate) file: PathBuf,
    text: String,
}

impl Access {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("access.yaml");
        std::fs::write(&file, "principals: []").unwrap();
        Self { _folder: folder, file, text: "principals:\n".to_owned() }
    }

    /// Somebody with a token; gives the token.
    pub(crate) fn add(&mut self, name: &str, grants: &str) -> String {
        let secret = Secret::generate().unwrap();
        let line = format!("- {{ name: {name}, tokens: [{{ sha256: '{}' }}], grants: [{grants}] }}\n", secret.sha256());
        self.text.push_str(&line);
        std::fs::write(&self.file, &self.text).unwrap();
        secret.token().to_owned()
    }

    /// One for each role, in the order of [`ROLES`].
    pub(crate) fn with_roles(&mut self) -> Vec<(Role, String)> {
        let grant = |role: Role| format!("{{ roles: ['{role}'], namespaces: ['*'] }}");
        let name = |role: Role| role.as_str().replace(':', "-");
        ROLES.into_iter().map(|role| (role, self.add(&name(role), &grant(role)))).collect()
    }

    pub(crate) fn config(&self, memory: &Memory) -> ServerConfig {
        let mut config = memory.config();
        config.auth.file = Some(self.file.clone());
        config
    }
}

/// A request of whoever has this token.
pub(crate) fn of<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

fn is_refused(code: Code) -> bool {
    matches!(code, Code::PermissionDenied | Code::Unauthenticated)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_is_for_whom_the_table_says_over_grpc() {
    let memory = Memory::in_memory();
    let mut access = Access::new();
    let tokens = access.with_roles();
    let nobody = access.add("nobody", "");
    let server = Server::start_with(&memory, access.config(&memory)).await;
    for row in METHODS {
        let call = async |token: Option<&str>| {
            let path = PathAndQuery::from_static(row.path);
            let request = token.map_or_else(|| Request::new(Bytes::new()), |token| of(token, Bytes::new()));
            raw::code(&server.channel, path, request).await
        };
        let stranger = call(None).await;
        let expected = row.needs == Needs::Nothing;
        assert_eq!(stranger != Code::Unauthenticated, expected, "{} without a token: {stranger:?}", row.path);
        assert_eq!(call(Some("amends_made_up")).await != Code::Unauthenticated, expected, "{}", row.path);
        let named = call(Some(&nobody)).await;
        let is_open = matches!(row.needs, Needs::Nothing | Needs::Name);
        assert_eq!(!is_refused(named), is_open, "{} with a name only: {named:?}", row.path);
        for (role, token) in &tokens {
            let answered = call(Some(token)).await;
            let expected = match row.needs {
                Needs::Nothing | Needs::Name => true,
                Needs::Node => false,
                Needs::Roles(roles) => roles.contains(role),
            };
            assert_eq!(!is_refused(answered), expected, "{} as {role}: {answered:?}", row.path);
            assert_ne!(answered, Code::Unauthenticated, "{} as {role}", row.path);
        }
    }
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_path_is_for_whom_the_table_says_over_http() {
    let memory = Memory::in_memory();
    let mut access = Access::new();
    let tokens = access.with_roles();
    let server = Server::start_with(&memory, access.config(&memory)).await;
    let bearer = |token: &str| format!("Bearer {token}");
    let admin = bearer(&tokens[4].1);
    let index = client::ask(&server, "GET", "/", &[("authorization", &admin)], "").await.text;
    let mut asked = 0;
    for line in index.lines().filter(|line| line.contains("amends.v1.")) {
        // A long template leaves no blank before the method.
        let (verb, rest) = line.split_once(' ').unwrap();
        let (template, method) = rest.split_at(rest.find("amends.v1.").unwrap());
        let template = template.trim().replace("{version}", "1");
        let path: Vec<&str> =
            template.split('{').map(|part| part.split_once('}').map_or(part, |(_, rest)| rest)).collect();
        let (path, (service, name)) = (path.join("x"), method.rsplit_once('.').unwrap());
        let row = METHODS.iter().find(|row| row.path == format!("/{service}/{name}")).unwrap();
        let Needs::Roles(roles) = row.needs else { panic!("{method} is not for callers") };
        let headers = if verb == "GET" { vec![] } else { vec![JSON] };
        let body = if verb == "GET" { "" } else { "{}" };
        let stranger = client::ask(&server, verb, &path, &headers, body).await;
        assert_eq!((stranger.status, stranger.header("www-authenticate")), (401, "Bearer"), "{verb} {path}");
        for (role, token) in &tokens {
            let token = bearer(token);
            let headers = [&headers[..], &[("authorization", token.as_str())]].concat();
            let answer = client::ask(&server, verb, &path, &headers, body).await;
            assert_eq!(answer.status != 403, roles.contains(role), "{verb} {path} as {role}: {answer:?}");
            assert_ne!(answer.status, 401, "{verb} {path} as {role}");
        }
        asked += 1;
    }
    let for_callers = METHODS.iter().filter(|row| matches!(row.needs, Needs::Roles(_))).count();
    assert_eq!(asked, for_callers, "every method that is for callers has a path");
    for (page, needs) in amends_server::auth::PAGES {
        let stranger = client::get(&server, page).await.status;
        assert_eq!(stranger, if *needs == Needs::Nothing { 200 } else { 401 }, "{page}");
        let known = client::ask(&server, "GET", page, &[("authorization", &admin)], "").await;
        assert_eq!(known.status, 200, "{page}");
    }
    assert_eq!(client::get(&server, "/elsewhere").await.status, 401, "what there is not is nobody's business");
    server.stop().await.unwrap();
}

/// A server with the shop and two definitions, and the tokens of those whom `grants` describe.
async fn shop_of(memory: &Memory, grants: &[(&str, &str)]) -> (Server, Shop, Access, Vec<String>) {
    let mut access = Access::new();
    let admin = access.add("root", "{ roles: [admin], namespaces: ['*'] }");
    let tokens = grants.iter().map(|(name, grant)| access.add(name, grant)).collect();
    let mut server = Server::start_with(memory, access.config(memory)).await;
    let shop = Shop::open().await;
    let participant =
        v1::Participant { name: "shop".to_owned(), endpoints: vec![shop.address.clone()], ..Default::default() };
    let put = v1::PutParticipantRequest { participant: Some(participant), expected_revision: 0 };
    server.participants.put(of(&admin, put)).await.unwrap();
    for source in [CHECKOUT.to_owned(), CHECKOUT.replace("saga: checkout", "saga: refund")] {
        let message = v1::RegisterDefinitionRequest { source, ..Default::default() };
        server.definitions.register(of(&admin, message)).await.unwrap();
    }
    for (id, definition) in [("c-1", "checkout"), ("r-1", "refund")] {
        let start = v1::StartSagaRequest { definition: definition.to_owned(), wait: seconds(60), ..checkout(id) };
        let saga = server.sagas.start(of(&admin, start)).await.unwrap().into_inner();
        assert_eq!(saga.status(), v1::SagaStatus::Completed);
        assert!(saga.input.is_some(), "an admin sees payloads");
    }
    (server, shop, access, tokens)
}

fn saga(id: &str) -> v1::GetSagaRequest {
    v1::GetSagaRequest { saga_id: id.to_owned(), ..Default::default() }
}

fn code<T>(answer: Result<T, Status>) -> Code {
    answer.err().map_or(Code::Ok, |status| status.code())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_reaches_its_definitions_and_no_others() {
    let memory = Memory::in_memory();
    let grants = [
        ("shop", "{ roles: [starter, operator, registrar], namespaces: [default], definitions: ['check*'] }"),
        ("bank", "{ roles: [admin], namespaces: [bank] }"),
    ];
    let (mut server, _shop, _access, tokens) = shop_of(&memory, &grants).await;
    let (shop, bank) = (&tokens[0], &tokens[1]);
    assert_eq!(code(server.sagas.get(of(shop, saga("c-1"))).await), Code::Ok);
    let hidden = server.sagas.get(of(shop, saga("r-1"))).await.unwrap_err();
    let missing = server.sagas.get(of(shop, saga("r-2"))).await.unwrap_err();
    assert_eq!((hidden.code(), refusal(&hidden).1), (Code::NotFound, "SAGA_NOT_FOUND".to_owned()));
    assert_eq!(hidden.message().replace("r-1", "r-2"), missing.message(), "as if there were none");
    assert_eq!(code(server.sagas.get(of(bank, saga("c-1"))).await), Code::PermissionDenied);
    let other = v1::StartSagaRequest { definition: "refund".to_owned(), ..checkout("r-3") };
    assert_eq!(code(server.sagas.start(of(shop, other)).await), Code::PermissionDenied);
    assert_eq!(code(server.sagas.start(of(shop, checkout("c-2"))).await), Code::Ok);
    let pause =
        |id: &str| v1::PauseSagaRequest { saga_id: id.to_owned(), reason: "x".to_owned(), ..Default::default() };
    assert_eq!(code(server.operations.pause(of(shop, pause("r-1"))).await), Code::NotFound);
    let all = v1::ListSagasRequest::default();
    assert_eq!(code(server.sagas.list(of(shop, all.clone())).await), Code::PermissionDenied);
    let of_one = v1::ListSagasRequest { definition: "checkout".to_owned(), ..all };
    assert_eq!(server.sagas.list(of(shop, of_one)).await.unwrap().into_inner().sagas.len(), 2);
    let listed = server.definitions.list(of(shop, v1::ListDefinitionsRequest::default())).await.unwrap().into_inner();
    assert_eq!(listed.definitions.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["checkout"]);
    let register = |source: String| v1::RegisterDefinitionRequest { source, dry_run: true, ..Default::default() };
    let own = register(CHECKOUT.replace("saga: checkout", "saga: checkout-eu"));
    assert_eq!(code(server.definitions.register(of(shop, own)).await), Code::Ok);
    let foreign = register(CHECKOUT.replace("saga: checkout", "saga: refund"));
    assert_eq!(code(server.definitions.register(of(shop, foreign)).await), Code::PermissionDenied);
    let takes_over = v1::Participant { name: "shop".to_owned(), ..Default::default() };
    let put = v1::PutParticipantRequest { participant: Some(takes_over), expected_revision: 0 };
    assert_eq!(code(server.participants.put(of(shop, put)).await), Code::PermissionDenied);
    server.stop().await.unwrap();
}

/// Whatever a viewer or an operator may call, no answer holds a payload.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payloads_are_shown_only_to_those_who_may_see_them() {
    let memory = Memory::in_memory();
    let grants = [
        ("viewer", "{ roles: [viewer, operator], namespaces: ['*'] }"),
        ("reader", "{ roles: [viewer, 'payload:read'], namespaces: ['*'] }"),
        (
            "half",
            "{ roles: [viewer], namespaces: ['*'] }, { roles: ['payload:read'], namespaces: ['*'], definitions: [refund] }",
        ),
    ];
    let (mut server, _shop, _access, tokens) = shop_of(&memory, &grants).await;
    let shown = async |server: &mut Server, token: &str, id: &str| {
        let mut seen = vec![server.sagas.get(of(token, saga(id))).await.unwrap().into_inner()];
        let watch = v1::WatchSagaRequest { saga_id: id.to_owned(), ..Default::default() };
        let mut stream = server.sagas.watch(of(token, watch)).await.unwrap().into_inner();
        while let Some(message) = stream.message().await.unwrap() {
            seen.extend(message.saga);
        }
        let payloads = |saga: &v1::Saga| {
            let outputs = saga.steps.iter().flat_map(|step| &step.operations).filter_map(|it| it.output.as_ref());
            saga.input.iter().count()
                + outputs.count()
                + saga.residue.iter().filter_map(|it| it.output.as_ref()).count()
        };
        seen.iter().map(payloads).sum::<usize>()
    };
    assert_eq!(shown(&mut server, &tokens[0], "c-1").await, 0);
    assert!(shown(&mut server, &tokens[1], "c-1").await > 2);
    assert_eq!(shown(&mut server, &tokens[2], "c-1").await, 0);
    assert!(shown(&mut server, &tokens[2], "r-1").await > 2);
    let mut operations = OperationsClient::new(server.channel.clone());
    let stop = v1::ForceStopSagaRequest { saga_id: "c-1".to_owned(), reason: "x".to_owned(), ..Default::default() };
    let answer = operations.force_stop(of(&tokens[0], stop)).await;
    assert!(answer.is_err_and(|status| !format!("{status:?}").contains(AMOUNT)));
    server.stop().await.unwrap();
}

/// The name of whoever has the token is recorded, whatever they call themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_recorded_is_who_has_the_token() {
    let memory = Memory::in_memory();
    let grants = [("shop", "{ roles: [starter], namespaces: ['*'] }")];
    let (mut server, _shop, _access, tokens) = shop_of(&memory, &grants).await;
    let mut start = of(&tokens[0], checkout("c-9"));
    start.metadata_mut().insert("amends-principal", "somebody-else".parse().unwrap());
    let started = server.sagas.start(start).await.unwrap().into_inner();
    assert_eq!(started.principal, "shop");
    server.stop().await.unwrap();
}

/// A new token works without a restart, one that was taken out doesn't any more, and a broken file changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_is_read_again_while_the_server_runs() {
    let memory = Memory::in_memory();
    let mut access = Access::new();
    let first = access.add("first", "{ roles: [viewer], namespaces: ['*'] }");
    let mut server = Server::start_with(&memory, access.config(&memory)).await;
    let second = access.add("second", "{ roles: [viewer], namespaces: ['*'] }");
    let list = v1::ListSagasRequest::default;
    while code(server.sagas.list(of(&second, list())).await) == Code::Unauthenticated {
        tokio::task::yield_now().await;
    }
    assert_eq!(code(server.sagas.list(of(&first, list())).await), Code::Ok);
    let whole = std::fs::read_to_string(&access.file).unwrap();
    std::fs::write(&access.file, "principals: [").unwrap();
    let without: String =
        whole.lines().filter(|line| !line.contains("name: first")).map(|line| format!("{line}\n")).collect();
    assert_eq!(code(server.sagas.list(of(&first, list())).await), Code::Ok);
    std::fs::write(&access.file, without).unwrap();
    while code(server.sagas.list(of(&first, list())).await) == Code::Ok {
        tokio::task::yield_now().await;
    }
    assert_eq!(code(server.sagas.list(of(&second, list())).await), Code::Ok);
    server.stop().await.unwrap();
}

/// A request that holds more than its message, so that what is judged might not be what is done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_message_is_judged_and_done() {
    let memory = Memory::in_memory();
    let mut access = Access::new();
    let token = access.add("shop", "{ roles: [starter], namespaces: [shop] }");
    let mut server = Server::start_with(&memory, access.config(&memory)).await;
    let large =
        v1::StartSagaRequest { namespace: "shop".to_owned(), input: json(&"x".repeat(2 << 20)), ..checkout("a") };
    let refused = server.sagas.start(of(&token, large)).await.unwrap_err();
    assert_eq!((refused.code(), refusal(&refused).1.as_str()), (Code::InvalidArgument, "UNREADABLE"));
    let path = PathAndQuery::from_static("/amends.v1.Sagas/Start");
    let broken = raw::code(&server.channel, path, of(&token, Bytes::from_static(b"\xff\xff"))).await;
    assert_eq!(broken, Code::InvalidArgument);
    server.stop().await.unwrap();
}

/// A participant's instance is known by its token, which it may be given while it tries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_registers_itself_with_the_token_of_a_registrar() {
    let memory = Memory::in_memory();
    let mut access = Access::new();
    let registrar = access.add("shop", "{ roles: [registrar], namespaces: ['*'] }");
    let mut server = Server::start_with(&memory, access.config(&memory)).await;
    let participant = v1::Participant { name: "shop".to_owned(), self_registration: true, ..Default::default() };
    let put = v1::PutParticipantRequest { participant: Some(participant), expected_revision: 0 };
    server.participants.put(of(&registrar, put)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let coordinator = format!("http://{}", server.grpc).parse().unwrap();
    let instance = Instance::new(vec![coordinator], "shop", "http://127.0.0.1:7777").token(Some(TokenFile::new(&file)));
    let registered = instance.register();
    let mut known = async || {
        let get = v1::GetParticipantRequest { name: "shop".to_owned(), ..Default::default() };
        server.participants.get(of(&registrar, get)).await.unwrap().into_inner().endpoint_states.len()
    };
    assert_eq!(known().await, 0, "without a token nobody is known");
    std::fs::write(&file, &registrar).unwrap();
    while known().await == 0 {
        tokio::task::yield_now().await;
    }
    registered.leave().await;
    assert_eq!(known().await, 0);
    server.stop().await.unwrap();
}
