//! Calls of any method with any bytes.

use bytes::Bytes;
use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::shop::Raw;

/// The status of a call: what it is refused with, or what becomes of its first message. A stream is left then.
pub(crate) async fn status(channel: &Channel, path: PathAndQuery, request: Request<Bytes>) -> Result<(), Status> {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.unwrap();
    client.server_streaming(request, path, Raw).await?.into_inner().message().await.map(|_| ())
}

/// Its code.
pub(crate) async fn code(channel: &Channel, path: PathAndQuery, request: Request<Bytes>) -> Code {
    status(channel, path, request).await.err().map_or(Code::Ok, |status| status.code())
}
