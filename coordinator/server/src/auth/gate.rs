//! What every request passes before any service sees it, whatever listener it came to.
//!
//! It carries out what the other files decide. Invariants: a request that isn't let through reaches no service; one message
//! is what is judged and what is done: a request that holds more, or can't be read, is refused; a saga that somebody may not
//! see is answered as if there were none.

use amends_engine::ids::SagaKey;
use amends_runtime::{Coordinator, RequestError};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tonic::{Code, Status};

use super::role::{Reach, Role};
use super::table::{self, Needs, Row};
use super::target::{self, About, Target};
use super::{Auth, Caller};
use crate::audit::Accounts;
use crate::config::LimitsConfig;
use crate::forward::{PREFIX, Whole, message_of, read_whole};
use crate::front_door::{FrontDoor, Pass};
use crate::grpc::{Refusal, message_bytes_max};

/// What the gate works with. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    pub(crate) auth: Auth,
    pub(crate) door: FrontDoor,
    pub(crate) coordinator: Coordinator,
    pub(crate) limits: LimitsConfig,
    pub(crate) accounts: Accounts,
}

/// A method that isn't in the table: whoever has a name learns that it isn't there.
const UNKNOWN: Row = Row { path: "", needs: Needs::Name, about: About::Nothing, load: table::Load::Read };

/// Lets a request of the API through, or refuses it.
pub(crate) async fn gate<A>(gate: &Gate, request: Request, next: impl FnOnce(Request) -> A) -> Response
where
    A: Future<Output = Response>,
{
    match gate.judge(request).await {
        Ok((request, _pass)) => readable(next(request).await),
        Err(status) => status.into_http(),
    }
}

/// Lets a request for a page through, or refuses it.
pub(crate) async fn page(State(auth): State<Auth>, request: Request, next: Next) -> Result<Response, Refusal> {
    let path = request.uri().path().to_owned();
    // Those of the API too, though they pass the other gate as calls of its methods: before a body is read of a stranger.
    if auth.is_on() && !table::is_open(&path) {
        let mut headers = request.headers().clone();
        auth.identify(&path, &mut headers, request.extensions()).await?;
    }
    Ok(next.run(request).await)
}

impl Gate {
    async fn judge(&self, request: Request) -> Result<(Request, Pass), Status> {
        let (mut parts, body) = request.into_parts();
        let row = table::method(parts.uri.path()).unwrap_or(&UNKNOWN);
        if row.needs == Needs::Nothing {
            let pass = self.door.admit(None, row.load)?;
            return Ok((Request::from_parts(parts, body), pass));
        }
        let mut caller = self.auth.identify(parts.uri.path(), &mut parts.headers, &parts.extensions).await?;
        let pass = self.enter(&caller, row)?;
        let body = match self.permit(&mut caller, row, body).await {
            Ok(body) => body,
            Err((refusal, body)) => {
                let status = Status::from(refusal);
                self.accounts.denied(row.path, &caller, body, &status).await;
                return Err(status);
            }
        };
        parts.extensions.insert(caller);
        Ok((Request::from_parts(parts, body), pass))
    }

    /// A principal's rate is counted where its request comes in; whether there is room, everywhere.
    fn enter(&self, caller: &Caller, row: &Row) -> Result<Pass, Refusal> {
        let counted = (!caller.is_node()).then_some(caller.name.as_str());
        self.door.admit(counted, row.load)
    }

    /// The request's body, whether it may be made or not; where it may not, as far as it was read.
    async fn permit(&self, caller: &mut Caller, row: &Row, body: Body) -> Result<Body, (Refusal, Body)> {
        if caller.is_anybody() {
            return Ok(body);
        }
        match row.needs {
            Needs::Nothing | Needs::Name => Ok(body),
            Needs::Node if caller.is_node() => Ok(body),
            Needs::Node => Err((denied(caller, row), body)),
            Needs::Roles(_) if caller.is_node() => Ok(body),
            // Before anything is read of somebody who may not call it at all.
            Needs::Roles(roles) if !caller.may(roles, Reach::Anywhere) => Err((denied(caller, row), body)),
            Needs::Roles(roles) => {
                let (target, body) = self.target(row, body).await.map_err(|refusal| (refusal, Body::empty()))?;
                match self.judge_target(caller, roles, &target, row).await {
                    Ok(payloads) => caller.payloads = payloads,
                    Err(refusal) => return Err((refusal, body)),
                }
                Ok(body)
            }
        }
    }

    async fn target(&self, row: &Row, body: Body) -> Result<(Target, Body), Refusal> {
        if !row.about.is_in_message() {
            let target = if row.about == About::AllTenants { Target::AllTenants } else { Target::Nothing };
            return Ok((target, body));
        }
        let service = row.path.trim_start_matches('/').split('/').next().unwrap_or_default();
        let max = message_bytes_max(&self.limits, service);
        let Whole::Message(bytes) = read_whole(body, max + PREFIX).await else {
            return Err(Refusal::Unreadable(format!("the request broke off or is over the limit of {max} bytes")));
        };
        let message = message_of(&bytes);
        let message = message.ok_or_else(|| Refusal::Unreadable("the request isn't one plain message".to_owned()))?;
        let target = target::of(row.about, message).map_err(|error| Refusal::Unreadable(error.to_string()))?;
        Ok((target, Body::from(bytes)))
    }

    /// Whether payloads may be shown; an error where the request isn't permitted.
    async fn judge_target(&self, caller: &Caller, roles: &[Role], target: &Target, row: &Row) -> Result<bool, Refusal> {
        let reach = match target {
            Target::Nothing => Reach::Anywhere,
            Target::AllTenants => Reach::Everywhere,
            Target::Namespace(namespace) => Reach::Namespace(namespace),
            Target::Whole(namespace) => Reach::Whole(namespace),
            Target::Definition(namespace, definition) => Reach::Definition(namespace, definition),
            Target::Saga(key) => return self.judge_saga(caller, roles, key, row).await,
        };
        if caller.may(roles, reach) { Ok(caller.sees_payloads(reach)) } else { Err(denied(caller, row)) }
    }

    /// The saga's definition is asked for only where it matters.
    async fn judge_saga(&self, caller: &Caller, roles: &[Role], key: &SagaKey, row: &Row) -> Result<bool, Refusal> {
        let namespace = key.namespace.as_str();
        let (some, whole) = (Reach::Namespace(namespace), Reach::Whole(namespace));
        if !caller.may(roles, some) {
            return Err(denied(caller, row));
        }
        let sees_whole = caller.sees_payloads(whole);
        if caller.may(roles, whole) && (sees_whole || !caller.sees_payloads(some)) {
            return Ok(sees_whole);
        }
        let snapshot = self.coordinator.get(key).await?;
        let reach = Reach::Definition(namespace, snapshot.saga.state.head.definition.as_str());
        match caller.may(roles, reach) {
            true => Ok(caller.sees_payloads(reach)),
            false => Err(RequestError::NoSuchSaga(key.clone()).into()),
        }
    }
}

fn denied(caller: &Caller, row: &Row) -> Refusal {
    let method = row.path.trim_start_matches('/');
    let needed = match row.needs {
        Needs::Roles(roles) => roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", "),
        Needs::Node => "another node of the store".to_owned(),
        Needs::Nothing | Needs::Name => String::new(),
    };
    Refusal::Denied { caller: caller.name.clone(), method: method.to_owned(), needed }
}

fn refused(refusal: Refusal) -> Response {
    Status::from(refusal).into_http()
}

/// A message that can't be read is the caller's mistake; the library calls it an internal error. Ours have details always.
fn readable(response: Response) -> Response {
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() == Code::Internal && status.details().is_empty() => {
            refused(Refusal::Unreadable(status.message().to_owned()))
        }
        _ => response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_cant_be_read_is_not_our_mistake() {
        let theirs = Status::internal("failed to decode Protobuf message: invalid wire type").into_http::<Body>();
        let mended = Status::from_header_map(readable(theirs).headers()).unwrap();
        assert_eq!(mended.code(), Code::InvalidArgument);
        let ours = Status::from(Refusal::Broken).into_http::<Body>();
        assert_eq!(Status::from_header_map(readable(ours).headers()).unwrap().code(), Code::Internal);
    }
}
