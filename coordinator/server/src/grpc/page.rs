//! Page sizes and page tokens: opaque to callers, checked when they come back.
//!
//! A token says where the next page begins; it holds no state of the server. Invariant: a token that wasn't given for the
//! same question is refused, never misread.

use amends_engine::ids::{SagaId, SagaKey};
use amends_engine::payload::Digest;
use amends_engine::time::Timestamp;
use amends_store::Cursor;

use super::from_proto::Search;
use super::status::Violation;

/// Most items of a page; more are not refused but cut.
const PAGE_SIZE_MAX: usize = 1000;

/// How many items to give.
pub(crate) fn size(asked: i32, default: usize) -> Result<usize, Violation> {
    match usize::try_from(asked) {
        Ok(0) => Ok(default),
        Ok(asked) => Ok(asked.min(PAGE_SIZE_MAX)),
        Err(_) => {
            Err(Violation::new("page_size", format!("{asked} is negative; leave it out for the default of {default}")))
        }
    }
}

/// A token for the page of sagas behind a cursor.
pub(crate) fn of_cursor(cursor: &Cursor, search: &Search) -> String {
    format!("{:x}_{}_{}", cursor.started_at.0, fingerprint(search), cursor.key.id)
}

/// The cursor of a token that was given for the same search.
pub(crate) fn to_cursor(token: &str, search: &Search) -> Result<Option<Cursor>, Violation> {
    if token.is_empty() {
        return Ok(None);
    }
    read_cursor(token, search).map(Some).ok_or_else(foreign)
}

fn read_cursor(token: &str, search: &Search) -> Option<Cursor> {
    let mut parts = token.splitn(3, '_');
    let started_at = Timestamp(u64::from_str_radix(parts.next()?, 16).ok()?);
    parts.next().filter(|given| *given == fingerprint(search))?;
    let key = SagaKey { namespace: search.filter.namespace.clone()?, id: SagaId::parse(parts.next()?).ok()? };
    Some(Cursor { started_at, key })
}

/// Two searches for different sagas differ here; the same age asked later is the same search. Only the same process version has to agree with itself: a token
/// from before an upgrade may be refused, and the listing begun again.
fn fingerprint(search: &Search) -> String {
    let digest = Digest::of(format!("{search:?}").as_bytes()).to_string();
    digest[..8].to_owned()
}

/// A token for the page of history that begins at this sequence number.
pub(crate) fn of_sequence(next: u64, newest_first: bool) -> String {
    format!("{}{next}", direction(newest_first))
}

/// The sequence number of a token that was given for the same direction.
pub(crate) fn to_sequence(token: &str, newest_first: bool) -> Result<Option<u64>, Violation> {
    if token.is_empty() {
        return Ok(None);
    }
    let number = token.strip_prefix(direction(newest_first)).and_then(|number| number.parse().ok());
    number.map(Some).ok_or_else(foreign)
}

fn direction(newest_first: bool) -> char {
    if newest_first { 'd' } else { 'a' }
}

/// One page of items that are sorted by name, and the token for the next. The token is the last name of the page.
pub(crate) fn by_name<T>(items: Vec<T>, name: impl Fn(&T) -> &str, page_size: usize, token: &str) -> (Vec<T>, String) {
    let mut rest = items.into_iter().filter(|item| token.is_empty() || name(item) > token);
    let page: Vec<T> = rest.by_ref().take(page_size).collect();
    let next = match (rest.next(), page.last()) {
        (Some(_), Some(last)) => name(last).to_owned(),
        _ => String::new(),
    };
    (page, next)
}

/// One page of items that are sorted by a number, the highest first, and the token for the next: the last number given.
pub(crate) fn by_number<T>(
    items: Vec<T>,
    number: impl Fn(&T) -> u32,
    page_size: usize,
    token: &str,
) -> Result<(Vec<T>, String), Violation> {
    let below = if token.is_empty() { None } else { Some(token.parse::<u32>().map_err(|_| foreign())?) };
    let mut rest = items.into_iter().filter(|item| below.is_none_or(|below| number(item) < below));
    let page: Vec<T> = rest.by_ref().take(page_size).collect();
    let next = match (rest.next(), page.last()) {
        (Some(_), Some(last)) => number(last).to_string(),
        _ => String::new(),
    };
    Ok((page, next))
}

/// The batch behind which a page begins; the token is its id.
pub(crate) fn to_batch(token: &str) -> Result<Option<&str>, Violation> {
    match token {
        "" => Ok(None),
        id if id.bytes().all(|byte| byte.is_ascii_alphanumeric()) => Ok(Some(id)),
        _ => Err(foreign()),
    }
}

/// The position at which a page begins; the token is the number.
pub(crate) fn to_position(token: &str) -> Result<u64, Violation> {
    if token.is_empty() { Ok(0) } else { token.parse().map_err(|_| foreign()) }
}

pub(crate) fn foreign() -> Violation {
    Violation::new("page_token", "it wasn't given for this question; begin again without one")
}

#[cfg(test)]
mod tests {
    use super::*;
    use amends_engine::ids::Namespace;

    fn filter(status: &str) -> Search {
        let filter = amends_store::Filter {
            namespace: Some(Namespace::default_namespace()),
            statuses: vec![status.to_owned()],
            ..Default::default()
        };
        Search { filter, older_than: None }
    }

    #[test]
    fn a_token_comes_back_as_the_cursor_it_was_made_of() {
        let key = SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse("a_b-c_d").unwrap() };
        let cursor = Cursor { started_at: Timestamp(1_700_000_000_123), key };
        let token = of_cursor(&cursor, &filter("stuck"));
        assert_eq!(to_cursor(&token, &filter("stuck")), Ok(Some(cursor)));
        assert_eq!(to_cursor("", &filter("stuck")), Ok(None));
        for (token, filter) in [(token.as_str(), filter("running")), ("x", filter("stuck")), ("1_2", filter("stuck"))] {
            assert_eq!(to_cursor(token, &filter).unwrap_err().field, "page_token");
        }
    }

    #[test]
    fn a_history_token_knows_its_direction() {
        assert_eq!(to_sequence(&of_sequence(17, true), true), Ok(Some(17)));
        assert_eq!(to_sequence(&of_sequence(17, false), false), Ok(Some(17)));
        assert!(to_sequence(&of_sequence(17, false), true).is_err());
    }

    #[test]
    fn names_are_paged_without_gaps_or_repeats() {
        let page = |size, token| {
            let items = ["a", "b", "c"].map(str::to_owned).to_vec();
            let (page, next) = by_name(items, |item: &String| item.as_str(), size, token);
            (page.concat(), next)
        };
        assert_eq!(page(2, ""), ("ab".to_owned(), "b".to_owned()));
        assert_eq!(page(2, "b"), ("c".to_owned(), String::new()));
        assert_eq!(page(3, ""), ("abc".to_owned(), String::new()));
    }

    #[test]
    fn sizes_are_cut_but_not_negative() {
        assert_eq!((size(0, 50), size(7, 50), size(5000, 50)), (Ok(50), Ok(7), Ok(1000)));
        assert!(size(-1, 50).is_err());
    }
}
