//! Server reflection: whoever asks for a service gets every file that it takes to call it, annotations included.

use futures::stream;
use prost_reflect::DescriptorPool;
use prost_reflect::prost_types::FileDescriptorProto;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::harness::{Memory, Server};

/// The files that come for one question.
async fn files(server: &Server, question: MessageRequest) -> Vec<FileDescriptorProto> {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let mut client = ServerReflectionClient::new(server.channel.clone());
    let mut answers = client.server_reflection_info(stream::iter([request])).await.unwrap().into_inner();
    match answers.message().await.unwrap().unwrap().message_response.unwrap() {
        MessageResponse::FileDescriptorResponse(found) => {
            found.file_descriptor_proto.iter().map(|file| prost::Message::decode(file.as_slice()).unwrap()).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_comes_with_all_its_files() {
    let server = Server::start(&Memory::in_memory()).await;
    let mut wanted = Vec::new();
    let mut all = files(&server, MessageRequest::FileContainingSymbol("amends.v1.Sagas".to_owned())).await;
    loop {
        wanted.extend(all.iter().flat_map(|file| file.dependency.clone()));
        let Some(missing) = wanted.iter().find(|name| all.iter().all(|file| file.name() != name.as_str())) else {
            break;
        };
        all.extend(files(&server, MessageRequest::FileByFilename(missing.clone())).await);
    }
    let mut pool = DescriptorPool::new();
    pool.add_file_descriptor_protos(all).unwrap();
    assert!(pool.get_service_by_name("amends.v1.Sagas").unwrap().methods().len() >= 7);
    assert!(pool.get_extension_by_name("google.api.http").is_some());
    server.stop().await.unwrap();
}
