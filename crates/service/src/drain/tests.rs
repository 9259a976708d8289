//! Draining.

use tokio::sync::oneshot;

use super::*;

/// Long enough that a test which waits for it has failed.
const LONG: Duration = Duration::from_mins(10);

#[tokio::test]
async fn tasks_are_waited_for() {
    let shutdown = Shutdown::new();
    let stop = shutdown.clone();
    let task = shutdown.spawn(async move {
        stop.started().await;
        "finished"
    });
    assert!(!shutdown.is_started());
    assert_eq!(shutdown.running(), 1);
    assert_eq!(shutdown.graceful(LONG).await, Drained::Cleanly);
    assert!(shutdown.is_started());
    assert_eq!(task.await.unwrap(), Some("finished"));
}

#[tokio::test]
async fn a_task_that_does_not_end_is_cut_off() {
    let shutdown = Shutdown::new();
    let (held, dropped) = oneshot::channel::<()>();
    let task = shutdown.spawn(async move {
        let _held = held;
        std::future::pending::<()>().await;
    });
    assert_eq!(shutdown.graceful(Duration::from_millis(10)).await, Drained::CutOff(1));
    assert_eq!(task.await.unwrap(), None);
    assert!(dropped.await.is_err(), "what the task held is dropped");
}

#[tokio::test]
async fn a_task_started_during_the_drain_is_waited_for_too() {
    let shutdown = Shutdown::new();
    let (inner, (sender, receiver)) = (shutdown.clone(), oneshot::channel());
    shutdown.spawn(async move {
        inner.started().await;
        let deeper = inner.clone();
        inner.spawn(async move {
            deeper.started().await;
            sender.send("done").unwrap();
        });
    });
    assert_eq!(shutdown.graceful(LONG).await, Drained::Cleanly);
    assert_eq!(receiver.await.unwrap(), "done");
}

#[tokio::test]
async fn a_panic_in_a_task_does_not_hold_the_drain() {
    let shutdown = Shutdown::new();
    let task = shutdown.spawn(async { panic!("on purpose") });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(shutdown.graceful(LONG).await, Drained::Cleanly);
}
