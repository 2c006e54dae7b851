//! `amends.faults.v1.Faults`: changes the rules of a running participant.
//!
//! Registered only with `--allow-faults`; it has no authentication of its own, like everything that is meant for a
//! loopback address. Invariant: a list with one bad rule changes nothing.

use tonic::{Request, Response, Status};

use super::proto::faults_server::Faults as Api;
use super::proto::{ClearRequest, GetRequest, Rules, SetRequest};
use super::{Faults, Rule};

/// The service over a set of rules.
#[derive(Debug, Clone)]
pub struct FaultsApi(pub Faults);

impl FaultsApi {
    fn rules(&self) -> Response<Rules> {
        Response::new(Rules { rules: self.0.get().into_iter().map(Into::into).collect() })
    }
}

#[tonic::async_trait]
impl Api for FaultsApi {
    async fn set(&self, request: Request<SetRequest>) -> Result<Response<Rules>, Status> {
        let rules: Result<Vec<Rule>, _> = request.into_inner().rules.into_iter().map(Rule::try_from).collect();
        self.0.set(rules.map_err(|error| Status::invalid_argument(error.to_string()))?);
        Ok(self.rules())
    }

    async fn get(&self, _: Request<GetRequest>) -> Result<Response<Rules>, Status> {
        Ok(self.rules())
    }

    async fn clear(&self, _: Request<ClearRequest>) -> Result<Response<Rules>, Status> {
        self.0.set(Vec::new());
        Ok(self.rules())
    }
}
