//! The shell around the gates: whoever waits and whoever is gone.

use amends_engine::ids::{SagaId, SagaKey};

use super::super::{Codes, Endpoint, Registration};
use super::*;
use crate::cluster::Alone;

fn protection(concurrency: u32) -> Arc<Protection> {
    let directory = Arc::new(Directory::new());
    let endpoint = Endpoint::parse("http://slow:1").unwrap();
    let mut registration = Registration::new(vec![endpoint], false, Codes::new(), None).unwrap();
    registration.limits.concurrency = concurrency;
    let (namespace, name) = whom();
    directory.put(namespace, name, registration);
    let seams = Seams::system();
    let cluster = Cluster::new(1, "node".to_owned(), Arc::new(Alone), directory.clone(), seams.clone());
    Arc::new(Protection::new(directory, Arc::new(cluster), seams))
}

fn whom() -> Whom {
    (Namespace::default_namespace(), ParticipantName::parse("slow").unwrap())
}

fn wanted(number: u64) -> Wanted {
    let key =
        SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse(&format!("order-{number}")).unwrap() };
    Wanted { whom: whom(), who: (key, StepIndex(0), Operation::Action), due: Timestamp(number), retry: false }
}

/// Asks for so many, the first of which is admitted.
fn ask_all(protection: &Arc<Protection>, events: &Events, numbers: std::ops::Range<u64>) -> Vec<Admission> {
    numbers.map(|number| protection.ask(wanted(number), events)).collect()
}

/// A shard that is lost leaves its whole queue behind at once: every turn that comes is given back in turn, not inside the last one.
#[test]
fn the_queue_of_a_lost_shard_is_passed_over_however_long_it_is() {
    let protection = protection(1);
    let ((lost, receiver), (other, mut others)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
    let before = ask_all(&protection, &lost, 0..50_000);
    let after = ask_all(&protection, &other, 50_000..50_001);
    drop(receiver);
    drop(before.into_iter().next());
    let admitted = others.try_recv().unwrap();
    assert!(
        matches!(&admitted, ShardEvent::Admitted { who, .. } if who.0.id.as_str() == "order-50000"),
        "{admitted:?}"
    );
    drop(admitted);
    drop(after);
    let standing = protection.standing(&whom());
    assert_eq!((standing.in_flight, standing.waiting.len()), (0, 0), "nothing is left behind");
}
