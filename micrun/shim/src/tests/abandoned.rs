//! Containers that are still being made when somebody wants their end.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use containerd_shim_protos::api::{StateRequest, Status};
use containerd_shim_protos::shim_async::Task;

use super::fixture::{Fixture, Script, context};
use crate::service::pod;
use crate::task::containers::Containers;

/// Whether it still waits, after all others have had their turn.
async fn waits(work: &mut (impl Future + Unpin)) -> bool {
    tokio::select! {
        biased;
        _ = work => false,
        () = tokio::task::yield_now() => true,
    }
}

/// The machine goes down, or the sandbox ends, during a Create.
#[tokio::test]
async fn who_ends_all_waits_for_what_is_being_made() {
    let mut f = Fixture::new(Script::default());
    f.create().await.unwrap();
    let container = f.containers.find("c").unwrap();
    let others: Arc<Containers> = Arc::default();
    let slot = others.reserve("c").unwrap();
    let mut ending = pin!(pod::end_all(&f.context, &others, Duration::ZERO));
    assert!(waits(&mut ending).await);
    slot.fill(container);
    ending.await;
    assert_eq!(f.events().last().unwrap(), "exit 137");
}

#[tokio::test]
async fn what_is_given_up_is_waited_for_and_is_no_reason_to_stay() {
    let containers: Arc<Containers> = Arc::default();
    assert!(containers.give_up("c").is_err());
    let slot = containers.reserve("c").unwrap();
    assert!(!containers.is_given_up() && !containers.is_empty());
    let mut given_up = Box::pin(containers.give_up("c").unwrap());
    assert!(containers.is_given_up() && !containers.is_empty());
    assert!(waits(&mut given_up).await);
    let other = containers.reserve("d").unwrap();
    assert!(!containers.is_given_up());
    drop((slot, other));
    assert!(given_up.await.is_err(), "its Create has failed");
    assert!(containers.is_empty());
}

/// containerd was killed during a Create, is back, and asks: an operator who hears `NOT_FOUND` deletes the record.
#[tokio::test]
async fn who_asks_for_what_is_being_made_waits_for_it() {
    let mut f = Fixture::new(Script::default());
    f.create().await.unwrap();
    let container = f.containers.find("c").unwrap();
    let slot = f.containers.reserve("d").unwrap();
    let request = || StateRequest { id: "d".into(), ..StateRequest::default() };
    let context = context();
    let mut asked = f.service.state(&context, request());
    assert!(waits(&mut asked).await);
    slot.fill(container);
    assert_eq!(asked.await.unwrap().status(), Status::CREATED);
    let slot = f.containers.reserve("e").unwrap();
    let mut asked = Box::pin(f.containers.made("e"));
    assert!(waits(&mut asked).await);
    drop(slot);
    assert!(asked.await.is_err(), "its Create has failed");
    f.containers.remove("d");
    f.delete().await.unwrap();
}

/// The id of a sandbox is nobody's to delete, and does not keep the others from their end.
#[tokio::test]
async fn an_id_that_is_no_container_s_is_not_waited_for() {
    let containers: Arc<Containers> = Arc::default();
    let _sandbox = containers.occupy("s").unwrap();
    assert!(containers.give_up("s").is_err() && containers.reserve("s").is_err());
    assert!(!containers.is_given_up());
    assert!(containers.settled().await.is_empty());
}
