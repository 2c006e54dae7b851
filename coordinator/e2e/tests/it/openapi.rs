//! The served OpenAPI page, judged by a validator that isn't ours.

use std::process::Command;

use amends_redis_lab::free_address;

use crate::process::{Process, program, root};

const VALIDATE: &str = "
import json, sys, urllib.request
from openapi_spec_validator import OpenAPIV31SpecValidator
page = json.load(urllib.request.urlopen(sys.argv[1]))
OpenAPIV31SpecValidator(page).validate()
print(len(page['paths']))
";

#[test]
fn openapi_page_is_valid() {
    let data = tempfile::tempdir().expect("a folder");
    let python = root().join("target/venv/bin/python");
    assert!(python.exists(), "{} is missing: run `make tools`", python.display());
    let (grpc, http) = (free_address().to_string(), free_address());
    let folder = data.path().display().to_string();
    let arguments = ["serve", "--grpc", &grpc, "--http", &http.to_string(), "--data", &folder].map(str::to_owned);
    let mut coordinator = Process::start("coordinator", program("amends"), http, arguments.to_vec());
    coordinator.wait_until_listening();
    let page = format!("http://{http}/openapi.json");
    let validated = Command::new(python).args(["-c", VALIDATE, &page]).output().expect("python runs");
    assert!(validated.status.success(), "{}", String::from_utf8_lossy(&validated.stderr));
    let paths: usize = String::from_utf8_lossy(&validated.stdout).trim().parse().expect("a number");
    assert!(paths > 30, "{paths}");
}
