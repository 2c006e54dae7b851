//! Registering definitions.

use amends_proto::v1;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::harness::{CHECKOUT, Memory, Server, checkout, on_both_stores, refusal};
use crate::shop::{Shop, descriptor_set};

on_both_stores! { versions deprecations findings dry_runs uploaded_descriptors silent_participants }

fn submit(source: &str) -> v1::RegisterDefinitionRequest {
    v1::RegisterDefinitionRequest { source: source.to_owned(), ..Default::default() }
}

async fn versions(memory: Memory) {
    let (mut server, _shop) = Server::with_shop(&memory).await;
    let again = server.register(CHECKOUT).await;
    assert!(!again.created);
    let first = again.definition.unwrap();
    assert_eq!((first.version, first.digest.len()), (1, 64));
    assert_eq!(
        (first.participants.as_slice(), first.steps.as_slice()),
        (&["shop".to_owned()][..], &["reserve".to_owned(), "charge".to_owned()][..])
    );
    let second = server.register(&CHECKOUT.replace("5m", "6m")).await;
    assert!(second.created);
    assert_eq!(second.definition.unwrap().version, 2);
    let back = server.register(CHECKOUT).await;
    assert_eq!((back.created, back.definition.unwrap().version), (false, 1));

    let get = v1::GetDefinitionRequest { name: "checkout".to_owned(), version: 1, ..Default::default() };
    let got = server.definitions.get(get.clone()).await.unwrap().into_inner();
    assert_eq!((got.source.as_str(), got.format()), (CHECKOUT, v1::SourceFormat::Yaml));
    let gone = v1::GetDefinitionRequest { version: 9, ..get };
    assert_eq!(refusal(&server.definitions.get(gone).await.unwrap_err()).1, "DEFINITION_NOT_FOUND");
    server.register(&CHECKOUT.replace("saga: checkout", "saga: another")).await;
    let mut list = v1::ListDefinitionsRequest { page_size: 1, ..Default::default() };
    let page = server.definitions.list(list.clone()).await.unwrap().into_inner();
    assert_eq!((page.definitions[0].name.as_str(), page.definitions[0].source.as_str()), ("another", ""));
    list.page_token = page.next_page_token;
    let page = server.definitions.list(list).await.unwrap().into_inner();
    assert_eq!((page.definitions[0].name.as_str(), page.definitions[0].version), ("checkout", 2));
    assert_eq!(page.next_page_token, "");
    server.stop().await.unwrap();
}

async fn deprecations(memory: Memory) {
    let (mut server, _shop) = Server::with_shop(&memory).await;
    let first = server.definitions.list_versions(versions_of("checkout")).await.unwrap().into_inner();
    assert_eq!(first.versions.len(), 1);
    server.register(&CHECKOUT.replace("5m", "6m")).await;
    let start = |id: &str, version: u32| v1::StartSagaRequest { version, ..checkout(id) };
    let on_two = server.sagas.start(start("on-two", 0)).await.unwrap().into_inner();
    assert_eq!(on_two.version, 2);
    assert_eq!(server.sagas.start(start("on-one", 1)).await.unwrap().into_inner().version, 1);

    let deprecate = |version: u32, undo: bool, reason: &str| {
        let reason = reason.to_owned();
        let mut request = tonic::Request::new(v1::DeprecateDefinitionRequest {
            name: "checkout".to_owned(),
            version,
            reason,
            undo,
            ..Default::default()
        });
        request.metadata_mut().insert("amends-principal", "ops".parse().unwrap());
        request
    };
    let marked = server.definitions.deprecate(deprecate(2, false, "forgets the tax")).await.unwrap().into_inner();
    let deprecation = marked.deprecation.unwrap();
    assert_eq!((deprecation.principal.as_str(), deprecation.reason.as_str()), ("ops", "forgets the tax"));
    assert!(deprecation.time.is_some());

    // No saga begins on it any more, by name or by default; what began runs on, and its start can be repeated.
    let status = server.sagas.start(start("late", 2)).await.unwrap_err();
    assert_eq!((status.code(), refusal(&status).1.as_str()), (Code::FailedPrecondition, "DEFINITION_DEPRECATED"));
    assert_eq!(
        status.message(),
        "version 2 of definition checkout is deprecated (forgets the tax): start it on version 1, or name no version"
    );
    assert_eq!(server.sagas.start(start("other", 0)).await.unwrap().into_inner().version, 1);
    assert_eq!(server.sagas.start(start("on-two", 2)).await.unwrap().into_inner().version, 2);

    let listed = server.definitions.list_versions(versions_of("checkout")).await.unwrap().into_inner();
    let shown = |version: &v1::DefinitionVersion| {
        let definition = version.definition.as_ref().unwrap();
        (definition.version, definition.deprecation.is_some(), definition.source.is_empty())
    };
    assert_eq!(listed.versions.iter().map(shown).collect::<Vec<_>>(), [(2, true, true), (1, false, true)]);
    let mut page = v1::ListDefinitionVersionsRequest { page_size: 1, ..versions_of("checkout") };
    let newest = server.definitions.list_versions(page.clone()).await.unwrap().into_inner();
    assert_eq!(newest.versions.iter().map(shown).collect::<Vec<_>>(), [(2, true, true)]);
    page.page_token = newest.next_page_token;
    let oldest = server.definitions.list_versions(page.clone()).await.unwrap().into_inner();
    assert_eq!(
        (oldest.versions.iter().map(shown).collect::<Vec<_>>(), oldest.next_page_token),
        (vec![(1, false, true)], String::new())
    );
    page.page_token = "x".to_owned();
    assert_eq!(refusal(&server.definitions.list_versions(page).await.unwrap_err()).2, ["page_token"]);

    server.definitions.deprecate(deprecate(1, false, "old")).await.unwrap();
    let status = server.sagas.start(start("none", 0)).await.unwrap_err();
    assert_eq!(
        status.message(),
        "every version of definition checkout is deprecated: register a new version, or undeprecate one"
    );
    let back = server.definitions.deprecate(deprecate(1, true, "still needed")).await.unwrap().into_inner();
    assert!(back.deprecation.is_none());
    assert_eq!(server.sagas.start(start("none", 0)).await.unwrap().into_inner().version, 1);
    // A new version is for new sagas at once.
    server.register(&CHECKOUT.replace("5m", "7m")).await;
    assert_eq!(server.sagas.start(start("new", 0)).await.unwrap().into_inner().version, 3);

    for (request, fields) in [(deprecate(1, false, ""), ["reason"]), (deprecate(0, false, "x"), ["version"])] {
        assert_eq!(refusal(&server.definitions.deprecate(request).await.unwrap_err()).2, fields);
    }
    let missing = server.definitions.deprecate(deprecate(9, false, "x")).await.unwrap_err();
    assert_eq!(refusal(&missing).1, "DEFINITION_NOT_FOUND");
    let missing = server.definitions.list_versions(versions_of("nothing")).await.unwrap_err();
    assert_eq!(refusal(&missing).1, "DEFINITION_NOT_FOUND");
    server.stop().await.unwrap();
}

fn versions_of(name: &str) -> v1::ListDefinitionVersionsRequest {
    v1::ListDefinitionVersionsRequest { name: name.to_owned(), ..Default::default() }
}

async fn findings(memory: Memory) {
    let (mut server, _shop) = Server::with_shop(&memory).await;
    for (wrong, rule, expected) in [
        (CHECKOUT.replace("participant: shop", "particpant: shop"), "AM-L002", "particpant"),
        (CHECKOUT.replace("participant: shop", "participant: bank"), "AM-L050", "`bank`"),
        (CHECKOUT.replace("Shop/Charge", "Shop/Chrage"), "AM-L052", "Charge"),
        (CHECKOUT.replace("amount: \"${input.amount}\" }", "amuont: 1 }"), "AM-L054", "amuont"),
    ] {
        let status = server.definitions.register(submit(&wrong)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains("nothing was registered"), "{}", status.message());
        let details = status.get_error_details();
        let violations = &details.bad_request().unwrap().field_violations;
        assert!(
            violations.iter().all(|it| it.field == "source" && !it.description.starts_with("0:")),
            "{violations:?}"
        );
        let text = violations.iter().map(|it| it.description.as_str()).collect::<Vec<_>>().join("\n");
        assert!(text.contains(&format!("error[{rule}]")) && text.contains(expected), "{text}");
    }
    server.stop().await.unwrap();
}

async fn dry_runs(memory: Memory) {
    let (mut server, _shop) = Server::with_shop(&memory).await;
    let dry = |source: &str| v1::RegisterDefinitionRequest { dry_run: true, ..submit(source) };
    let same = server.definitions.register(dry(CHECKOUT)).await.unwrap().into_inner();
    assert_eq!((same.created, same.definition.unwrap().version), (false, 1));
    let other = server.definitions.register(dry(&CHECKOUT.replace("5m", "7m"))).await.unwrap().into_inner();
    assert_eq!((other.created, other.definition.unwrap().version), (true, 2));
    let wrong = server.definitions.register(dry("saga: checkout\nsteps: []\n")).await.unwrap().into_inner();
    assert!(wrong.definition.is_none());
    assert_eq!(wrong.findings[0].severity(), v1::Severity::Error);
    assert!(wrong.findings[0].line > 0 && !wrong.findings[0].help.is_empty());
    // What is found by the participant's messages: a warning with the version, an error without one.
    let doubtful = CHECKOUT.replace("Charge\n", "Charge\n      rejected_when: \"${reply.receipt == 5}\"\n");
    let doubtful = server.definitions.register(dry(&doubtful)).await.unwrap().into_inner();
    assert_eq!((doubtful.definition.unwrap().version, doubtful.findings[0].rule.as_str()), (2, "AM-L047"));
    assert_eq!(doubtful.findings[0].severity(), v1::Severity::Warning);
    let mistyped = CHECKOUT.replace("amount: { type: integer }", "amount: { type: number }");
    let mistyped = server.definitions.register(dry(&mistyped)).await.unwrap().into_inner();
    assert_eq!((mistyped.definition, mistyped.findings[0].rule.as_str()), (None, "AM-L055"));
    let list = server.definitions.list(v1::ListDefinitionsRequest::default()).await.unwrap().into_inner();
    assert_eq!(list.definitions[0].version, 1);
    server.stop().await.unwrap();
}

async fn uploaded_descriptors(memory: Memory) {
    let mut server = Server::start(&memory).await;
    // Nobody listens there: all that is known is what is sent along.
    server.put_shop("http://127.0.0.1:1").await;
    let with = |name: &str| v1::RegisterDefinitionRequest {
        descriptor_sets: [(name.to_owned(), descriptor_set().into())].into(),
        ..submit(CHECKOUT)
    };
    assert!(server.definitions.register(with("shop")).await.unwrap().into_inner().created);
    let status = server.definitions.register(with("bank")).await.unwrap_err();
    assert_eq!(refusal(&status).2, ["descriptor_sets[\"bank\"]"]);
    server.stop().await.unwrap();
}

async fn silent_participants(memory: Memory) {
    let mut server = Server::start(&memory).await;
    server.put_shop("http://127.0.0.1:1").await;
    let status = server.definitions.register(submit(CHECKOUT)).await.unwrap_err();
    let details = status.get_error_details();
    let violation = &details.bad_request().unwrap().field_violations[0];
    assert!(violation.description.contains("error[AM-L051]"), "{}", violation.description);
    assert!(violation.description.contains("127.0.0.1:1"), "{}", violation.description);
    // As soon as it answers the same definition is fine.
    let shop = Shop::open().await;
    server.put_shop(&shop.address).await;
    assert!(server.register(CHECKOUT).await.created);
    server.stop().await.unwrap();
}
