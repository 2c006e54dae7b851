//! One participant: how it is called, by which addresses, within which limits, what waits for it; and its verbs.
//!
//! Invariant: limits are changed from the revision that the form showed, so that nobody undoes what another has just done.

use amends_proto::v1;
use askama::Template;
use axum::extract::Path;
use axum::response::Response;

use super::change::{self, Change, Field, Input};
use super::form::Posted;
use super::participants::{Breaker, protocol, waiting};
use super::text::{self, When, escaped, when, word};
use super::trouble::Trouble;
use super::visitor::{Shell, Visitor};
use super::{Section, method, render, see};

const BREAKERS: [(&str, &str); 3] =
    [("auto", "opens and closes by itself"), ("off", "never opens"), ("held", "held open: nothing is called")];

#[derive(Template)]
#[template(path = "participant.html")]
struct ParticipantPage {
    shell: Shell,
    it: v1::Participant,
    breaker: Breaker,
    protection: v1::Protection,
    protocol: String,
    balancing: String,
    waiting: String,
    drains: Option<When>,
    limits: Vec<(&'static str, String, String)>,
    codes: Vec<(String, String)>,
    endpoints: Vec<Endpoint>,
    sagas_link: String,
    audit_link: Option<String>,
    verbs: Vec<(String, &'static str, bool)>,
}

struct Endpoint {
    address: String,
    source: String,
    health: String,
    class: &'static str,
    until: Option<When>,
    in_flight: u32,
    weight: u32,
    failed: Option<When>,
    failure: String,
}

/// A participant's page.
pub(super) async fn page(visitor: Visitor, Path(name): Path<String>) -> Result<Response, Trouble> {
    let it = get(&visitor, &name).await?;
    let shell = visitor.shell(Section::Participants, name.as_str());
    let verbs = verbs(&visitor, &shell, &it);
    let audit = format!("/audit?target={}", escaped(&format!("participants/{name}")));
    let audit_link = visitor.may(method::AUDIT_LIST, "").then(|| shell.link(&audit));
    render(&shown(shell, it, verbs, audit_link))
}

fn shown(
    shell: Shell,
    it: v1::Participant,
    verbs: Vec<(String, &'static str, bool)>,
    audit_link: Option<String>,
) -> ParticipantPage {
    let protection = it.protection.clone().unwrap_or_default();
    let mut codes: Vec<(String, String)> =
        it.codes.iter().map(|(code, meaning)| (code.clone(), meaning_word(*meaning))).collect();
    codes.sort();
    ParticipantPage {
        breaker: Breaker::of(it.protection.as_ref()),
        protocol: protocol(&it),
        balancing: word(it.balancing().as_str_name(), "PARTICIPANT_BALANCING_"),
        waiting: waiting(it.protection.as_ref()),
        drains: when(&protection.drain_time),
        limits: limits(&it.limits.unwrap_or_default(), &protection.limits.unwrap_or_default()),
        codes,
        endpoints: it.endpoint_states.iter().map(endpoint).collect(),
        sagas_link: shell.link(&format!("/sagas?participant={}", escaped(&it.name))),
        audit_link,
        shell,
        protection,
        verbs,
        it,
    }
}

fn meaning_word(meaning: i32) -> String {
    word(v1::CodeMeaning::try_from(meaning).unwrap_or_default().as_str_name(), "CODE_MEANING_")
}

async fn get(visitor: &Visitor, name: &str) -> Result<v1::Participant, Trouble> {
    let wanted = v1::GetParticipantRequest { namespace: visitor.namespace.clone(), name: name.to_owned() };
    Ok(visitor.ask(method::PARTICIPANTS_GET, wanted).await?)
}

fn endpoint(it: &v1::EndpointState) -> Endpoint {
    let class = match it.health() {
        v1::EndpointHealth::Healthy => "ok",
        v1::EndpointHealth::Ejected => "undo",
        v1::EndpointHealth::Unreachable | v1::EndpointHealth::Unspecified => "bad",
    };
    Endpoint {
        address: it.endpoint.clone(),
        source: it.source.clone(),
        health: word(it.health().as_str_name(), "ENDPOINT_HEALTH_"),
        class,
        until: when(&it.ejected_until).filter(|until| *until > When::now()),
        in_flight: it.in_flight,
        weight: it.weight,
        failed: when(&it.last_failure_time),
        failure: it.last_failure.clone(),
    }
}

/// Each limit: what it is, for all nodes together, and the part of the node that answers.
fn limits(all: &v1::Limits, own: &v1::Limits) -> Vec<(&'static str, String, String)> {
    let number = |rate: f64, none: &str| if rate > 0.0 { rate.to_string() } else { none.to_owned() };
    let each = |of: &v1::Limits| {
        [
            of.concurrency.to_string(),
            format!("{} %", of.reserved_percent),
            number(of.rate_per_second, "no limit"),
            format!("{} %", of.retry_percent),
            word(of.breaker().as_str_name(), "BREAKER_MODE_"),
            number(of.resume_per_second, "a little more than before it"),
        ]
    };
    let names = [
        "Calls at a time",
        "Kept for compensations, confirms and queries",
        "Calls per second",
        "Retries beside first attempts",
        "Breaker",
        "Calls per second after an outage",
    ];
    names.into_iter().zip(each(all)).zip(each(own)).map(|((name, all), own)| (name, all, own)).collect()
}

fn verbs(visitor: &Visitor, shell: &Shell, it: &v1::Participant) -> Vec<(String, &'static str, bool)> {
    let link = |verb: &str| shell.link(&format!("/participants/{}/{verb}", escaped(&it.name)));
    let is_held = it.limits.unwrap_or_default().breaker() == v1::BreakerMode::Held;
    let mut verbs = Vec::new();
    if is_held && visitor.may(method::PARTICIPANTS_RESUME, "") {
        verbs.push((link("resume"), "Resume…", false));
    }
    if !is_held && visitor.may(method::PARTICIPANTS_PAUSE, "") {
        verbs.push((link("pause"), "Pause…", true));
    }
    if visitor.may(method::PARTICIPANTS_SET_LIMITS, "") {
        verbs.push((link("limits"), "Change limits…", false));
    }
    verbs
}

/// The page before it is paused, resumed, or limited otherwise.
pub(super) async fn ask_change(
    visitor: Visitor,
    Path((name, verb)): Path<(String, String)>,
) -> Result<Response, Trouble> {
    let it = get(&visitor, &name).await?;
    let (what, button, grave, fields) = match verb.as_str() {
        "pause" => (
            "Nothing more is called there: its breaker is held open, on every node within seconds. What waits uses up no attempt, \
             calls that are under way end as they end, and sagas that need it wait.",
            "Pause",
            true,
            Vec::new(),
        ),
        "resume" => (
            "It is called again, at the bounded rate at which a participant comes back from an outage.",
            "Resume",
            false,
            Vec::new(),
        ),
        "limits" => (
            "For all nodes together; it holds within seconds, also for what waits already. An empty field is the default.",
            "Change limits",
            false,
            fields(&it.limits.unwrap_or_default()),
        ),
        _ => return Err(Trouble::nowhere()),
    };
    let title = match verb.as_str() {
        "limits" => format!("Limits of {name}"),
        _ => format!("{button} {name}"),
    };
    let shell = visitor.shell(Section::Participants, "");
    let back = (name.clone(), shell.link(&format!("/participants/{}", escaped(&name))));
    let hidden = vec![("revision", it.revision.to_string())];
    let (what, button) = (vec![what.to_owned()], button.to_owned());
    change::page(&visitor, Section::Participants, Change { title, back, what, fields, hidden, button, grave })
}

fn fields(now: &v1::Limits) -> Vec<Field> {
    let number = |name, label, value: f64, max, hint: &str| Field {
        name,
        label,
        value: if value > 0.0 { value.to_string() } else { String::new() },
        hint: hint.to_owned(),
        input: Input::Number("0", max),
    };
    vec![
        number("concurrency", "Calls at a time", now.concurrency.into(), "100000", "default 256"),
        number(
            "reserved_percent",
            "Kept for compensations, confirms and queries, in a hundred",
            now.reserved_percent.into(),
            "90",
            "default 20",
        ),
        number("rate_per_second", "Calls per second", now.rate_per_second, "1000000", "default: no limit"),
        number("retry_percent", "Retries for a hundred first attempts", now.retry_percent.into(), "1000", "default 20"),
        number(
            "resume_per_second",
            "Calls per second after an outage",
            now.resume_per_second,
            "1000000",
            "default: a little more than before it",
        ),
        Field {
            name: "breaker",
            label: "Breaker",
            value: word(now.breaker().as_str_name(), "BREAKER_MODE_"),
            hint: String::new(),
            input: Input::Choice(BREAKERS.to_vec()),
        },
    ]
}

/// Carries it out.
pub(super) async fn change(
    visitor: Visitor,
    Path((name, verb)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, Trouble> {
    let (namespace, reason, expected_revision) =
        (visitor.namespace.clone(), posted.reason()?, posted.number("revision")?);
    let to = visitor.shell(Section::Participants, "").link(&format!("/participants/{}", escaped(&name)));
    match verb.as_str() {
        "pause" => {
            let wanted = v1::PauseParticipantRequest { namespace, name, reason, expected_revision };
            visitor.ask(method::PARTICIPANTS_PAUSE, wanted).await?
        }
        "resume" => {
            let wanted = v1::ResumeParticipantRequest { namespace, name, reason, expected_revision };
            visitor.ask(method::PARTICIPANTS_RESUME, wanted).await?
        }
        "limits" => {
            let limits = Some(stated(&posted)?);
            let wanted = v1::SetLimitsRequest { namespace, name, limits, reason, expected_revision };
            visitor.ask(method::PARTICIPANTS_SET_LIMITS, wanted).await?
        }
        _ => return Err(Trouble::nowhere()),
    };
    Ok(see(&to))
}

fn stated(posted: &Posted) -> Result<v1::Limits, Trouble> {
    let whole = |name: &str| {
        u32::try_from(posted.number(name)?).map_err(|_| Trouble::invalid(&format!("{name}: it is too large")))
    };
    let breaker = match posted.text("breaker") {
        "off" => v1::BreakerMode::Off,
        "held" => v1::BreakerMode::Held,
        _ => v1::BreakerMode::Auto,
    };
    Ok(v1::Limits {
        concurrency: whole("concurrency")?,
        reserved_percent: whole("reserved_percent")?,
        rate_per_second: rate(posted, "rate_per_second")?,
        retry_percent: whole("retry_percent")?,
        breaker: breaker.into(),
        resume_per_second: rate(posted, "resume_per_second")?,
    })
}

/// A number with or without a fraction; 0 where there is none.
pub(super) fn rate(posted: &Posted, name: &str) -> Result<f64, Trouble> {
    match posted.text(name) {
        "" => Ok(0.0),
        text => text.parse().map_err(|_| Trouble::invalid(&format!("{name}: write a number"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::definitions::tests::shell;

    #[test]
    fn addresses_and_limits_are_shown_with_what_is_wrong() {
        let state = v1::EndpointState {
            endpoint: "http://10.0.0.1:80".to_owned(),
            health: v1::EndpointHealth::Unreachable.into(),
            last_failure: "<script>alert(1)</script>".to_owned(),
            ..Default::default()
        };
        let limits = v1::Limits { concurrency: 64, breaker: v1::BreakerMode::Auto.into(), ..Default::default() };
        let it = v1::Participant {
            name: "payment".to_owned(),
            endpoint_states: vec![state],
            limits: Some(limits),
            codes: [("ABORTED".to_owned(), v1::CodeMeaning::Rejected.into())].into(),
            ..Default::default()
        };
        let html = shown(shell(Section::Participants), it, Vec::new(), None).render().unwrap();
        for words in ["unreachable", "&#60;script&#62;", ">64<", "ABORTED", "/console/sagas?participant=payment"] {
            assert!(html.contains(words), "{words} is missing:\n{html}");
        }
    }
}
