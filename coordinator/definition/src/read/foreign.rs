//! Words of other languages for sagas, transactions and workflows, and what to write here instead.
//!
//! For mends only: it never makes another word accepted. Whoever comes from a language of states, tasks or branches brings its
//! words along, and they are far from ours by spelling. Invariant: what a mend names is a field that the map at hand has, or
//! a sentence that says where else it belongs.

use crate::finding::{did_you_mean, nearest};

/// Our field, and what others call it; without case, `_` and `-`. The first row counts whose field the map has.
const SAME: &[(&str, &[&str])] = &[
    ("saga", &["name", "id", "sagaid", "saganame", "workflow", "workflowid", "process", "statemachine", "transaction"]),
    ("steps", &["states", "tasks", "do", "activities", "branches", "stages", "jobs", "nodes", "flow", "sequence"]),
    ("timeout", &["timeoutseconds", "timeoutsecs", "timeoutms", "timeoutmillis", "timeouttofail", "deadline"]),
    ("timeout", &["executiontimeout", "runtimeout", "workflowruntimeout", "starttoclosetimeout", "requesttimeout"]),
    ("input", &["inputschema", "datainputschema", "schema", "parameters", "params", "arguments", "args"]),
    ("labels", &["tags", "annotations", "searchattributes", "metadata"]),
    ("scenario", &["name", "test", "case", "title", "description"]),
    ("step", &["name", "id", "key", "task", "state", "activity", "stepname"]),
    (
        "participant",
        &["service", "servicename", "server", "target", "app", "component", "connector", "worker", "taskqueue"],
    ),
    ("after", &["dependson", "needs", "requires", "dependencies", "waitfor", "runafter", "previous"]),
    ("when", &["if", "condition", "onlyif", "precondition"]),
    ("pivot", &["pointofnoreturn", "irreversible"]),
    ("compensate", &["undo", "revert", "reverse", "oncompensate", "compensatestate", "usedforcompensation"]),
    (
        "action",
        &["do", "execute", "invoke", "run", "forward", "perform", "operation", "resource", "functionref", "grpc"],
    ),
    ("try", &["prepare"]),
    ("confirm", &["commit"]),
    ("query", &["check", "status", "queryprepared", "poll", "lookup"]),
    ("call", &["method", "rpc", "grpc", "function", "functionref", "operation", "service", "resource", "target"]),
    ("request", &["body", "payload", "args", "arguments", "input", "with", "data", "params", "parameters", "message"]),
    ("retry", &["retries", "retrypolicy", "retrystrategy", "backoff"]),
    (
        "codes",
        &["errors", "statuscodes", "errorcodes", "nonretryableerrors", "nonretryableerrortypes", "retryableerrors"],
    ),
    ("rejected_when", &["failwhen", "rejectwhen", "errorwhen", "failurecondition"]),
    ("pending_when", &["waitwhen", "asyncwhen"]),
    ("headers", &["metadata"]),
    ("max_attempts", &["attempts", "retries", "maxretries", "maximumattempts", "limit", "count", "times"]),
    ("initial", &["delay", "interval", "initialinterval", "initialdelay", "intervalseconds", "retryinterval", "wait"]),
    ("max", &["maxdelay", "maxinterval", "maximuminterval", "maximumdelay", "maxdelayseconds", "cap"]),
    ("multiplier", &["backoffcoefficient", "backoffrate", "backoffmultiplier", "coefficient", "factor", "exponent"]),
    ("definition", &["saga", "workflow", "file"]),
    ("scenarios", &["tests", "cases", "testcases"]),
    ("replies", &["mocks", "stubs", "responses", "answers"]),
    ("expect", &["expected", "assert", "assertions", "expectations", "want", "then"]),
    ("ends", &["status", "state", "end", "outcome", "phase"]),
    ("outputs", &["output", "result", "results"]),
    ("residue", &["effects", "left"]),
    ("took_less_than", &["duration", "within", "timeout", "maxduration"]),
    ("succeeds", &["ok", "success", "succeed", "returns", "return", "responds", "response", "result", "output"]),
    ("rejects", &["reject", "fails", "fail", "failure", "error", "refuses", "throws"]),
    ("times_out", &["timeout", "timesout"]),
    ("code", &["status", "statuscode", "grpccode"]),
    ("takes", &["delay", "latency", "duration"]),
    ("completes_after", &["after", "delay"]),
    ("at", &["after", "when", "time"]),
    ("force_stop", &["stop", "kill", "terminate", "abort"]),
];

/// A field by which the map at hand is known, words that mean nothing in it, and what to do. Looked at first.
const ELSEWHERE: &[(&str, &[&str], &str)] = &[
    ("steps", &["version", "schemaversion", "specversion"], "leave it out: registering counts the versions"),
    ("steps", &["startat", "start"], "leave it out: the first step starts, and every other one with `after: []`"),
    ("steps", &["document", "dsl", "apiversion", "kind"], "leave it out, and begin with `saga: NAME`"),
    ("steps", &["type", "mode"], "leave it out: a step with `action` is a saga's, one with `try` a TCC's"),
    ("steps", &["namespace", "tenant"], "leave it out, and register with `--namespace NAME`"),
    (
        "steps",
        &["participants", "services", "functions", "endpoints", "connectors"],
        "leave it out, and register each: `amends participant register NAME --endpoint http://host:port`",
    ),
    (
        "steps",
        &["compensate", "compensation", "rollback", "onerror", "onfailure", "catch", "fallback"],
        "each step has a `compensate` of its own",
    ),
    ("steps", &["output", "outputs", "result"], "leave it out: each step's reply is its output"),
    ("steps", &["retry", "retries", "retrypolicy"], "write `retry` beside the `call` of an operation"),
    ("steps", &["description", "comment", "documentation", "title", "summary"], COMMENT),
    ("participant", &["description", "comment", "documentation", "title", "summary"], COMMENT),
    ("participant", &["rollback"], "did you mean `compensate`, or in a TCC step `cancel`?"),
    ("participant", &["type", "kind"], "leave it out: a step with `action` is a saga's, one with `try` a TCC's"),
    (
        "participant",
        &["next", "transition", "goto", "end", "final", "terminal"],
        "leave it out: a step follows the one above it, unless `after: [NAME]` says otherwise",
    ),
    (
        "participant",
        &["parallel", "concurrent", "branches", "async"],
        "leave it out: with `after` naming the same steps, or `after: []`, steps run side by side",
    ),
    (
        "participant",
        &["timeout", "timeoutseconds", "timeoutms", "timeoutmillis", "deadline"],
        "write `within` for the step's whole time, or `timeout` beside `call` for that of one attempt",
    ),
    (
        "participant",
        &["catch", "onerror", "onerrors", "onfailure", "onfail", "fallback", "errorhandler"],
        "leave it out: a refusal turns the saga back by itself, and `compensate` says how this step is undone",
    ),
    (
        "participant",
        &["output", "outputs", "result", "resultpath", "outputpath", "resultselector", "saveas"],
        "leave it out: the reply is the step's output, `${steps['NAME'].field}`",
    ),
    (
        "participant",
        &[
            "call",
            "http",
            "request",
            "headers",
            "codes",
            "rejectedwhen",
            "pendingwhen",
            "retry",
            "retries",
            "retrypolicy",
            "method",
            "url",
            "body",
            "payload",
            "input",
        ],
        "it belongs to an operation: `action: { call: …, request: …, retry: … }`",
    ),
    (
        "headers",
        &["maxattempts", "attempts", "maxretries", "maximumattempts"],
        "write it within `retry`: `retry: { max_attempts: 3 }`",
    ),
    (
        "headers",
        &["participant", "pivot", "after", "within", "when", "compensate", "query"],
        "it belongs to the step: write it beside `participant`",
    ),
    ("multiplier", &["jitter"], "leave it out: every delay has full jitter"),
    (
        "multiplier",
        &["maxduration", "maxelapsedtime", "maximumduration"],
        "write `within` in the step for the time of all attempts together",
    ),
];

/// Words for where an HTTP operation goes.
const ADDRESS: &[&str] = &["url", "uri", "path", "endpoint", "href", "host"];
const COMMENT: &str = "write it as a comment: `# …`";

/// What to do about a field that a map doesn't have.
pub(super) struct Hint {
    /// The field that was meant.
    pub(super) meant: Option<&'static str>,
    pub(super) mend: String,
}

/// The mend for an unknown word in a map with these fields.
pub(super) fn hint(word: &str, known: &[&'static str]) -> Hint {
    let plain = plain(word);
    let of_this = |field: &str| known.contains(&field);
    let elsewhere = ELSEWHERE.iter().find(|(field, words, _)| of_this(field) && words.contains(&plain.as_str()));
    if let Some((_, _, mend)) = elsewhere {
        return Hint { meant: None, mend: (*mend).to_owned() };
    }
    if of_this("http") && ADDRESS.contains(&plain.as_str()) {
        let mend = "write method and path, `http: \"POST /path\"`; the host is the participant's registration";
        return Hint { meant: Some("http"), mend: mend.to_owned() };
    }
    let written_otherwise = known.iter().copied().find(|field| self::plain(field) == plain);
    let same = || SAME.iter().find(|(field, words)| of_this(field) && words.contains(&plain.as_str()));
    let meant = written_otherwise
        .or_else(|| same().map(|(field, _)| *field))
        .or_else(|| nearest(word, known.iter().copied()).and_then(|near| known.iter().copied().find(|it| *it == near)));
    match meant {
        Some(field) => Hint { meant, mend: format!("did you mean `{field}`?") },
        None => Hint { meant, mend: did_you_mean(word, known.iter().copied()) },
    }
}

/// A word without what languages write differently.
fn plain(word: &str) -> String {
    word.chars().filter(|character| !matches!(character, '_' | '-')).flat_map(char::to_lowercase).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: &[&str] = &["step", "participant", "after", "within", "action", "compensate", "try", "confirm"];

    #[test]
    fn the_words_are_written_as_they_are_looked_up() {
        let words = SAME.iter().flat_map(|(_, words)| *words);
        for word in words.chain(ELSEWHERE.iter().flat_map(|(_, words, _)| *words)).chain(ADDRESS) {
            assert_eq!(*word, plain(word));
        }
    }

    #[test]
    fn a_word_of_another_language_leads_to_ours() {
        for (word, field) in [
            ("depends_on", "after"),
            ("dependsOn", "after"),
            ("undo", "compensate"),
            ("compensation", "compensate"),
            ("Name", "step"),
            ("COMPENSATE", "compensate"),
            ("prepare", "try"),
            ("stpe", "step"),
        ] {
            let hint = hint(word, STEP);
            assert_eq!((hint.meant, hint.mend), (Some(field), format!("did you mean `{field}`?")), "{word}");
        }
        assert_eq!(hint("name", &["saga", "steps"]).meant, Some("saga"));
        assert_eq!(hint("url", &["call", "headers", "http"]).meant, Some("http"));
        assert!(hint("retry", STEP).mend.starts_with("it belongs to an operation"));
        assert!(hint("colour", STEP).mend.starts_with("use `step`, `participant`"));
    }
}
