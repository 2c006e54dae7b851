//! For a participant's own tests: requests as the coordinator sends them, the service as a child process, and a real
//! Postgres server.
//!
//! Not for production code, and nothing here knows what a service does. Invariant: a server that a test has started is
//! killed when its handle is dropped.

use std::io::{self, BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use crate::database::Place;
use crate::key::Operation;
pub use place::{TestPlace, connect};
pub use postgres::PostgresServer;

mod place;
mod postgres;

/// A step as the coordinator would call it: attempt 1, and epoch 1 and namespace `default` unless it is told otherwise.
#[derive(Debug, Clone)]
pub struct StepCall {
    namespace: String,
    saga_id: String,
    step: String,
    element: Option<String>,
    epoch: u64,
    expects_succeeded: bool,
    origin: Option<(String, String)>,
}

impl StepCall {
    /// Of this saga and step.
    pub fn new(saga_id: impl Into<String>, step: impl Into<String>) -> Self {
        Self {
            namespace: "default".to_owned(),
            saga_id: saga_id.into(),
            step: step.into(),
            element: None,
            epoch: 1,
            expects_succeeded: false,
            origin: None,
        }
    }

    /// Of a saga of this tenant's.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Of one element of a `for_each` step.
    #[must_use]
    pub fn element(mut self, element: impl Into<String>) -> Self {
        self.element = Some(element.into());
        self
    }

    /// Under this epoch.
    #[must_use]
    pub fn epoch(mut self, epoch: u64) -> Self {
        self.epoch = epoch;
        self
    }

    /// With `amends-expects: succeeded`.
    #[must_use]
    pub fn expects_succeeded(mut self) -> Self {
        self.expects_succeeded = true;
        self
    }

    /// Of a saga that began at `begun`, from a coordinator on `store` that says `floor`; both in unix milliseconds.
    #[must_use]
    pub fn origin(mut self, store: &str, begun: i64, floor: i64) -> Self {
        self.origin = Some((begun.to_string(), format!("{floor};store={store}")));
        self
    }

    /// The action (TCC: try).
    pub fn action<M>(&self, message: M) -> Request<M> {
        self.request(Operation::Action.as_str(), message)
    }

    /// The compensation (TCC: cancel).
    pub fn compensate<M>(&self, message: M) -> Request<M> {
        self.request(Operation::Compensate.as_str(), message)
    }

    /// The confirm.
    pub fn confirm<M>(&self, message: M) -> Request<M> {
        self.request(Operation::Confirm.as_str(), message)
    }

    /// The question whether the action's effect stands.
    pub fn query<M>(&self, message: M) -> Request<M> {
        self.request("query", message)
    }

    fn request<M>(&self, operation: &str, message: M) -> Request<M> {
        let element = self.element.as_ref().map(|element| format!("/{element}")).unwrap_or_default();
        let key = format!("{}/{}/{}{element}/{operation}", self.namespace, self.saga_id, self.step);
        let mut request = Request::new(message);
        let mut set = |name: &'static str, value: &str| {
            // A test that puts something else than ASCII here gets a call without it, and an error that says so.
            if let Ok(value) = value.parse() {
                request.metadata_mut().insert(name, value);
            }
        };
        set("amends-saga-id", &self.saga_id);
        set("amends-step", &self.step);
        set("amends-operation", operation);
        set("amends-attempt", "1");
        set("amends-epoch", &self.epoch.to_string());
        set("idempotency-key", &key);
        if let Some((begun, floor)) = &self.origin {
            set("amends-saga-begun", begun);
            set("amends-floor", floor);
        }
        if self.expects_succeeded {
            set("amends-expects", "succeeded");
        }
        request
    }
}

/// Most calls that [`until_known`] makes.
const CALLS_MAX: u32 = 20;

/// Calls again while the answer reads as unknown, as a coordinator does: `UNAVAILABLE` where no connection was to be had in
/// time, `INTERNAL` where a row wasn't. For tests that make more calls at once than a busy machine gets through within those limits.
///
/// # Errors
/// What any other answer says, or the last of 20.
pub async fn until_known<T>(mut call: impl AsyncFnMut() -> Result<T, Status>) -> Result<T, Status> {
    for _ in 1..CALLS_MAX {
        match call().await {
            Err(status) if matches!(status.code(), Code::Unavailable | Code::Internal) => {}
            known => return known,
        }
    }
    call().await
}

/// The reason in a status's `google.rpc.ErrorInfo`; empty where there is none.
pub fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// A participant's server as a real process.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    addr: String,
    // Kept open, so that the child can't fail on writing to it.
    _stdout: BufReader<ChildStdout>,
}

impl ServerProcess {
    /// Starts the program on this database and a free port, and waits until it listens.
    ///
    /// # Errors
    /// When the program can't be started or ends before it listens; its own words are on the standard error stream.
    pub fn start(program: &str, database: &Place, arguments: &[&str]) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.arg("--addr").arg("127.0.0.1:0").args(arguments);
        match database {
            Place::File(file) => command.arg("--database").arg(file),
            Place::Url(url) => command.env("DATABASE_URL", url),
        };
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or_else(|| io::Error::other("the child has no standard output"))?;
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let Some(addr) = line.trim().strip_prefix("listening on ") else {
            child.kill().ok();
            let status = child.wait()?;
            return Err(io::Error::other(format!("{program} said {line:?} and ended with {status}")));
        };
        Ok(Self { child, addr: addr.to_owned(), _stdout: stdout })
    }

    /// Where it listens, as a URI.
    pub fn uri(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The child's process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// When the system can't say.
    pub fn wait(&mut self) -> io::Result<std::process::ExitStatus> {
        self.child.wait()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may have ended already; there is nobody left to tell.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
