//! What is looked for in the audit log.

use amends_engine::time::Timestamp;
use amends_proto::v1;
use amends_runtime::audit::AuditResult;

use super::namespace;
use crate::audit::Filter;
use crate::grpc::status::Violation;

/// Which entries somebody asks for. Those of one shard are all tenants'.
pub(crate) fn audit_filter(message: &v1::ListAuditRequest) -> Result<Filter, Violation> {
    let result = match v1::AuditResult::try_from(message.result) {
        Ok(v1::AuditResult::Unspecified) => None,
        Ok(v1::AuditResult::Done) => Some(AuditResult::Done),
        Ok(v1::AuditResult::Refused) => Some(AuditResult::Refused),
        Ok(v1::AuditResult::Unknown) => Some(AuditResult::Unknown),
        Err(_) => return Err(Violation::new("result", "there is no such result")),
    };
    let all = message.shard > 0;
    Ok(Filter {
        namespace: if all { String::new() } else { namespace(&message.namespace)?.to_string() },
        target: message.target.clone(),
        principal: message.principal.clone(),
        method: message.method.clone(),
        batch: message.batch.clone(),
        result,
        from: time("from", message.from.as_ref())?,
        until: time("until", message.until.as_ref())?,
    })
}

fn time(field: &str, at: Option<&pbjson_types::Timestamp>) -> Result<Option<Timestamp>, Violation> {
    let Some(at) = at else { return Ok(None) };
    let problem = || Violation::new(field, "it isn't a time since 1970");
    let (seconds, nanos) = (u64::try_from(at.seconds), u64::try_from(at.nanos));
    let (Ok(seconds), Ok(nanos @ 0..1_000_000_000)) = (seconds, nanos) else { return Err(problem()) };
    let milliseconds = seconds.checked_mul(1000).and_then(|it| it.checked_add(nanos / 1_000_000));
    milliseconds.map(Timestamp).map(Some).ok_or_else(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_given_for_all_tenants_and_times_are_checked() {
        let asked = |shard| v1::ListAuditRequest { shard, namespace: "shop".to_owned(), ..Default::default() };
        assert_eq!(audit_filter(&asked(0)).unwrap().namespace, "shop");
        assert_eq!(audit_filter(&asked(2)).unwrap().namespace, "");
        let at = |seconds, nanos| time("from", Some(&pbjson_types::Timestamp { seconds, nanos }));
        assert_eq!(at(1, 500_000_000), Ok(Some(Timestamp(1_500))));
        assert!(at(-1, 0).is_err() && at(1, -1).is_err() && at(i64::MAX, 0).is_err());
        assert!(audit_filter(&v1::ListAuditRequest { result: 9, ..Default::default() }).is_err());
    }
}
