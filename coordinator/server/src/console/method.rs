//! The methods that the console calls, with their messages: so that a call can't be answered by another type.

use std::marker::PhantomData;

use amends_proto::v1;

/// A method that takes a `Q` and answers with an `A`.
#[derive(Debug)]
pub(super) struct Method<Q, A> {
    /// As over gRPC.
    pub(super) path: &'static str,
    types: PhantomData<fn(Q) -> A>,
}

impl<Q, A> Clone for Method<Q, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Q, A> Copy for Method<Q, A> {}

/// Names each method once, and all of them for the test below.
macro_rules! methods {
    ($($name:ident = $path:literal: $request:ident -> $reply:ident;)*) => {
        $(pub(super) const $name: Method<v1::$request, v1::$reply> =
            Method { path: concat!("/amends.v1.", $path), types: PhantomData };)*

        #[cfg(test)]
        const ALL: &[(&str, &str, &str)] = &[$(($path, stringify!($request), stringify!($reply))),*];
    };
}

methods! {
    SAGAS_LIST = "Sagas/List": ListSagasRequest -> ListSagasResponse;
    SAGAS_GET = "Sagas/Get": GetSagaRequest -> Saga;
    SAGAS_HISTORY = "Sagas/ListHistory": ListHistoryRequest -> ListHistoryResponse;
    SAGAS_WATCH = "Sagas/Watch": WatchSagaRequest -> WatchSagaResponse;
    SAGAS_CANCEL = "Sagas/Cancel": CancelSagaRequest -> CancelSagaResponse;
    OPERATIONS_RETRY = "Operations/Retry": RetrySagaRequest -> Saga;
    OPERATIONS_SKIP = "Operations/Skip": SkipOperationRequest -> Saga;
    OPERATIONS_RESOLVE = "Operations/Resolve": ResolveOperationRequest -> Saga;
    OPERATIONS_FORCE_STOP = "Operations/ForceStop": ForceStopSagaRequest -> Saga;
    OPERATIONS_PAUSE = "Operations/Pause": PauseSagaRequest -> Saga;
    OPERATIONS_RESUME = "Operations/Resume": ResumeSagaRequest -> Saga;
    OPERATIONS_ACKNOWLEDGE = "Operations/Acknowledge": AcknowledgeSagaRequest -> Saga;
    OPERATIONS_REPIN = "Operations/Repin": RepinSagaRequest -> Saga;
    OPERATIONS_RECONCILE = "Operations/Reconcile": ReconcileSagaRequest -> ReconcileSagaResponse;
    SAGAS_COUNT = "Sagas/Count": CountSagasRequest -> CountSagasResponse;
    BATCHES_PLAN = "Batches/Plan": PlanBatchRequest -> Batch;
    CLUSTER_NODES = "Cluster/ListNodes": ListNodesRequest -> ListNodesResponse;
    CLUSTER_SHARDS = "Cluster/ListShards": ListShardsRequest -> ListShardsResponse;
    CLUSTER_STORE = "Cluster/GetStore": GetStoreRequest -> StoreState;
    PARTICIPANTS_LIST = "Participants/List": ListParticipantsRequest -> ListParticipantsResponse;
    PARTICIPANTS_GET = "Participants/Get": GetParticipantRequest -> Participant;
    PARTICIPANTS_SET_LIMITS = "Participants/SetLimits": SetLimitsRequest -> Participant;
    PARTICIPANTS_PAUSE = "Participants/Pause": PauseParticipantRequest -> Participant;
    PARTICIPANTS_RESUME = "Participants/Resume": ResumeParticipantRequest -> Participant;
    DEFINITIONS_LIST = "Definitions/List": ListDefinitionsRequest -> ListDefinitionsResponse;
    DEFINITIONS_GET = "Definitions/Get": GetDefinitionRequest -> Definition;
    DEFINITIONS_VERSIONS = "Definitions/ListVersions": ListDefinitionVersionsRequest -> ListDefinitionVersionsResponse;
    DEFINITIONS_DEPRECATE = "Definitions/Deprecate": DeprecateDefinitionRequest -> Definition;
    DEFINITIONS_PAUSE = "Definitions/Pause": PauseDefinitionRequest -> Definition;
    DEFINITIONS_RESUME = "Definitions/Resume": ResumeDefinitionRequest -> Definition;
    BATCHES_LIST = "Batches/List": ListBatchesRequest -> ListBatchesResponse;
    BATCHES_GET = "Batches/Get": GetBatchRequest -> Batch;
    BATCHES_ITEMS = "Batches/ListItems": ListBatchItemsRequest -> ListBatchItemsResponse;
    BATCHES_APPLY = "Batches/Apply": ApplyBatchRequest -> Batch;
    BATCHES_SET_RATE = "Batches/SetRate": SetBatchRateRequest -> Batch;
    BATCHES_STOP = "Batches/Stop": StopBatchRequest -> Batch;
    AUDIT_LIST = "Audit/List": ListAuditRequest -> ListAuditResponse;
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;

    use super::ALL;

    #[test]
    fn every_method_has_these_messages() {
        let pool = DescriptorPool::decode(amends_proto::FILE_DESCRIPTOR_SET).unwrap();
        for (path, request, reply) in ALL {
            let (service, name) = path.split_once('/').unwrap();
            let service = pool.get_service_by_name(&format!("amends.v1.{service}")).unwrap();
            let rpc = service.methods().find(|rpc| rpc.name() == name).unwrap();
            assert_eq!((rpc.input().name(), rpc.output().name()), (*request, *reply), "{path}");
        }
    }
}
