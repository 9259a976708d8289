//! A domain that follows a script, and a clock that is told.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::*;
use crate::mta_sts::Mode;

const DOMAIN: &str = "example.test";
const HOUR: u64 = 60 * 60;

/// What DNS and the policy host of every domain say.
struct World {
    texts: Mutex<Result<Vec<String>, String>>,
    file: Mutex<Result<Vec<u8>, FetchError>>,
    fetches: AtomicUsize,
    /// A fetch waits for this, if it is there.
    gate: Mutex<Option<Arc<Notify>>>,
}

impl World {
    fn empty() -> Self {
        Self {
            texts: Mutex::new(Ok(Vec::new())),
            file: Mutex::new(Err(FetchError::Unavailable("nobody is there".into()))),
            fetches: AtomicUsize::new(0),
            gate: Mutex::default(),
        }
    }

    fn publish(&self, id: &str, mode: &str, max_age: u64) {
        *self.texts.lock() = Ok(vec![format!("v=STSv1; id={id};"), "another text".into()]);
        let file = format!("version: STSv1\nmode: {mode}\nmx: *.example.test\nmax_age: {max_age}\n");
        *self.file.lock() = Ok(file.into_bytes());
    }

    fn serve(&self, file: Result<&[u8], FetchError>) {
        *self.file.lock() = file.map(<[u8]>::to_vec);
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

struct Scripted(Arc<World>);

impl Source for Scripted {
    fn texts(&self, name: String) -> BoxFuture<'static, Result<Vec<String>, String>> {
        assert!(name.starts_with("_mta-sts."));
        let texts = self.0.texts.lock().clone();
        async { texts }.boxed()
    }

    fn policy_file(&self, _: String) -> BoxFuture<'static, Result<Vec<u8>, FetchError>> {
        let world = Arc::clone(&self.0);
        async move {
            world.fetches.fetch_add(1, Ordering::SeqCst);
            let gate = world.gate.lock().clone();
            if let Some(gate) = gate {
                gate.notified().await;
            }
            world.file.lock().clone()
        }
        .boxed()
    }
}

struct Bench {
    world: Arc<World>,
    cache: Cache,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self::with_room(100)
    }

    fn with_room(policies: usize) -> Self {
        let (world, folder) = (Arc::new(World::empty()), tempfile::tempdir().unwrap());
        let cache = open(&world, &folder, policies);
        Self { world, cache, folder }
    }

    async fn mode(&self, at: u64) -> Option<Mode> {
        self.cache.policy(DOMAIN, time(at)).await.policy.map(|policy| policy.mode)
    }
}

fn open(world: &Arc<World>, folder: &tempfile::TempDir, policies: usize) -> Cache {
    let source = Arc::new(Scripted(Arc::clone(world)));
    Cache::open(folder.path().join("policies"), source, CacheLimits { policies }).unwrap()
}

fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[tokio::test]
async fn a_domain_without_record_has_no_policy_and_is_not_asked_for_one() {
    let bench = Bench::new();
    assert_eq!(bench.cache.policy(DOMAIN, time(0)).await, Applied::default());
    assert_eq!(bench.world.fetches(), 0);
}

#[tokio::test]
async fn a_policy_is_fetched_once_for_an_id_and_again_for_another() {
    let bench = Bench::new();
    bench.world.publish("1", "testing", HOUR);
    assert_eq!(bench.mode(0).await, Some(Mode::Testing));
    bench.world.publish("1", "enforce", HOUR);
    assert_eq!(bench.mode(1).await, Some(Mode::Testing));
    assert_eq!(bench.world.fetches(), 1);
    bench.world.publish("2", "enforce", HOUR);
    assert_eq!(bench.mode(2).await, Some(Mode::Enforce));
    assert_eq!(bench.world.fetches(), 2);
}

#[tokio::test]
async fn nobody_can_take_a_policy_away_before_it_is_over() {
    let bench = Bench::new();
    bench.world.publish("1", "enforce", HOUR);
    assert_eq!(bench.mode(0).await, Some(Mode::Enforce));
    let attacks: [Result<Vec<String>, String>; 5] = [
        Err("SERVFAIL".into()),
        Ok(Vec::new()),
        Ok(vec!["v=STSv1; id=1; id=2".into()]),
        Ok(vec!["v=STSv1; id=1".into(), "v=STSv1; id=2".into()]),
        Ok(vec!["v=STSv1; id=2".into()]),
    ];
    bench.world.serve(Err(FetchError::Certificate("self-signed".into())));
    for attack in attacks {
        *bench.world.texts.lock() = attack.clone();
        assert_eq!(bench.mode(HOUR - 1).await, Some(Mode::Enforce), "{attack:?}");
        assert_eq!(bench.mode(HOUR).await, None, "{attack:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_policy_is_told_and_not_asked_for_again_at_once() {
    let bench = Bench::new();
    bench.world.publish("1", "enforce", HOUR);
    let cases: [(Result<&[u8], FetchError>, ResultType); 3] = [
        (Ok(b"no policy"), ResultType::StsPolicyInvalid),
        (Err(FetchError::Certificate("expired".into())), ResultType::StsWebpkiInvalid),
        (Err(FetchError::Unavailable("404".into())), ResultType::StsPolicyFetchError),
    ];
    for (at, (file, result)) in (0..).step_by(1000).zip(cases) {
        bench.world.serve(file);
        let before = bench.world.fetches();
        for second in [at, at + 1, at + 299] {
            let applied = bench.cache.policy(DOMAIN, time(second)).await;
            assert_eq!(applied.policy, None);
            assert_eq!(applied.trouble.unwrap().result, result);
        }
        assert_eq!(bench.world.fetches(), before + 1);
    }
    bench.world.publish("1", "enforce", HOUR);
    assert_eq!(bench.mode(2299).await, None, "not before five minutes are over");
    assert_eq!(bench.mode(2300).await, Some(Mode::Enforce));
}

#[tokio::test]
async fn a_new_id_is_tried_at_once_and_leaves_the_old_policy_until_it_succeeds() {
    let bench = Bench::new();
    bench.world.publish("1", "enforce", HOUR);
    assert_eq!(bench.mode(0).await, Some(Mode::Enforce));
    bench.world.publish("2", "none", HOUR);
    bench.world.serve(Err(FetchError::Unavailable("away".into())));
    let applied = bench.cache.policy(DOMAIN, time(1)).await;
    assert_eq!(applied.policy.unwrap().mode, Mode::Enforce);
    assert_eq!(applied.trouble.unwrap().result, ResultType::StsPolicyFetchError);
    bench.world.publish("3", "none", HOUR);
    assert_eq!(bench.mode(2).await, Some(Mode::None));
}

#[tokio::test]
async fn policies_survive_a_restart() {
    let bench = Bench::new();
    bench.world.publish("1", "enforce", HOUR);
    assert_eq!(bench.mode(0).await, Some(Mode::Enforce));
    bench.cache.save().unwrap();
    *bench.world.texts.lock() = Err("no network".into());
    let reopened = open(&bench.world, &bench.folder, 100);
    let applied = reopened.policy(DOMAIN, time(HOUR - 1)).await;
    assert_eq!(applied.policy.unwrap().mode, Mode::Enforce);
    assert_eq!(reopened.policy(DOMAIN, time(HOUR)).await.policy, None);
}

#[tokio::test]
async fn a_damaged_file_is_an_empty_one() {
    let bench = Bench::new();
    std::fs::write(bench.folder.path().join("policies"), b"waypost mta-sts 1 00000000\n{").unwrap();
    let reopened = open(&bench.world, &bench.folder, 100);
    assert_eq!(reopened.policy(DOMAIN, time(0)).await, Applied::default());
}

#[tokio::test]
async fn policies_are_fetched_again_before_they_are_over() {
    let bench = Bench::new();
    let week = 7 * 24 * HOUR;
    bench.world.publish("1", "enforce", week);
    assert_eq!(bench.mode(0).await, Some(Mode::Enforce));
    bench.cache.refresh(time(23 * HOUR)).await;
    assert_eq!(bench.world.fetches(), 1);
    bench.cache.refresh(time(24 * HOUR)).await;
    assert_eq!(bench.world.fetches(), 2);
    *bench.world.texts.lock() = Err("cut off".into());
    assert_eq!(bench.mode(24 * HOUR + week - 1).await, Some(Mode::Enforce), "counted from the second fetch");
    assert_eq!(bench.mode(24 * HOUR + week).await, None);
}

#[tokio::test]
async fn short_lived_policies_are_fetched_again_at_half_their_time_and_fall_out_when_it_is_over() {
    let bench = Bench::new();
    bench.world.publish("1", "enforce", HOUR);
    assert_eq!(bench.mode(0).await, Some(Mode::Enforce));
    bench.world.serve(Err(FetchError::Unavailable("away".into())));
    bench.cache.refresh(time(HOUR / 2)).await;
    assert_eq!(bench.world.fetches(), 2);
    bench.cache.refresh(time(HOUR)).await;
    assert_eq!(bench.world.fetches(), 2, "what is over is nobody's any longer");
}

#[tokio::test]
async fn many_messages_wait_for_one_fetch_which_goes_on_without_them() {
    let bench = Bench::new();
    bench.world.publish("1", "enforce", HOUR);
    let gate = Arc::new(Notify::new());
    *bench.world.gate.lock() = Some(Arc::clone(&gate));
    let mut waiting: Vec<_> = (0..10).map(|_| Box::pin(bench.mode(0))).collect();
    for wait in &mut waiting {
        assert!(wait.as_mut().now_or_never().is_none());
    }
    // Whoever asked first goes away.
    drop(waiting.remove(0));
    gate.notify_one();
    for wait in waiting {
        assert_eq!(wait.await, Some(Mode::Enforce));
    }
    assert_eq!(bench.world.fetches(), 1);
}

#[tokio::test]
async fn the_policy_that_was_used_least_recently_makes_room() {
    let bench = Bench::with_room(2);
    bench.world.publish("1", "enforce", HOUR);
    for (at, domain) in [(0, "a.test"), (1, "b.test"), (2, "a.test"), (3, "c.test")] {
        assert!(bench.cache.policy(domain, time(at)).await.policy.is_some());
    }
    *bench.world.texts.lock() = Ok(Vec::new());
    for (domain, is_known) in [("a.test", true), ("b.test", false), ("c.test", true)] {
        assert_eq!(bench.cache.policy(domain, time(4)).await.policy.is_some(), is_known, "{domain}");
    }
}

#[tokio::test]
async fn large_policies_make_room_for_each_other() {
    let bench = Bench::with_room(10_000);
    let label = "x".repeat(63);
    let mx = |number: usize| format!("mx: {number:03}.{label}.{label}.{label}.example.test\n");
    let file =
        format!("version: STSv1\nmode: enforce\n{}max_age: 3600\n", (0..100).map(mx).collect::<String>());
    *bench.world.texts.lock() = Ok(vec!["v=STSv1; id=1;".into()]);
    bench.world.serve(Ok(file.as_bytes()));
    for number in 0..1_000 {
        let policy = bench.cache.policy(&format!("{number}.test"), time(number)).await.policy;
        assert_eq!(policy.unwrap().mx.len(), 100);
    }
    let held = bench.cache.0.state.lock().held.len();
    assert!((500..1_000).contains(&held), "{held}");
    assert!(bench.cache.0.held("999.test", 1_000).is_some() && bench.cache.0.held("0.test", 1_000).is_none());
    bench.cache.save().unwrap();
    let size = std::fs::metadata(bench.folder.path().join("policies")).unwrap().len();
    assert!(size < MOST_OCTETS as u64, "{size} octets");
    let again = open(&bench.world, &bench.folder, 10_000);
    assert_eq!(again.0.state.lock().held.len(), held);
}
