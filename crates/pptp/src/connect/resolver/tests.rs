//! Tests of the resolver

use std::{
    collections::BTreeMap,
    fmt::Write,
    net::Ipv4Addr,
    sync::atomic::{AtomicUsize, Ordering},
};

use tokio::{
    task::JoinSet,
    time::{Instant as TokioInstant, advance, sleep},
};

use super::*;

/// The behavior of a test's name servers
#[derive(Debug, Clone)]
enum Manner {
    Answers { after: Duration, with: Outcome },
    Silent { until: Duration },
}

/// Name servers for tests: a table, and a count of what was asked
#[derive(Default)]
struct NameServers {
    manners: Mutex<BTreeMap<String, Manner>>,
    asked: Mutex<Vec<String>>,
    running: AtomicUsize,
    most: AtomicUsize,
}

impl NameServers {
    fn resolver(self: &Arc<Self>) -> Arc<Resolver> {
        let servers = Arc::clone(self);
        Resolver::new(move |mut worker| {
            let servers = Arc::clone(&servers);
            tokio::spawn(async move {
                while let Some(lookup) = worker.next() {
                    let outcome = servers.answer(lookup.name()).await;
                    lookup.finish(outcome);
                }
            });
            Ok(())
        })
    }

    fn set(&self, name: &str, manner: Manner) {
        self.manners.lock().unwrap().insert(name.to_owned(), manner);
    }

    fn say(&self, name: &str, last: u8) {
        self.set(name, Manner::Answers { after: TRIP, with: Ok(addresses(last)) });
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// A name that has no manner of its own is answered with silence for [`GIVEN_UP`]
    async fn answer(&self, name: &str) -> Outcome {
        self.asked.lock().unwrap().push(name.to_owned());
        let running = self.running.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(running, Ordering::Relaxed);
        let silence = Manner::Silent { until: GIVEN_UP };
        let manner = self.manners.lock().unwrap().get(name).cloned().unwrap_or(silence);
        let (after, outcome) = match manner {
            Manner::Answers { after, with } => (after, with),
            Manner::Silent { until } => (until, Err(Unresolved::Temporary("timed out".into()))),
        };
        sleep(after).await;
        self.running.fetch_sub(1, Ordering::Relaxed);
        outcome
    }
}

/// A round trip to a name server
const TRIP: Duration = Duration::from_millis(30);

/// The time that glibc waits for two attempts at two silent servers
const GIVEN_UP: Duration = Duration::from_secs(20);

fn addresses(last: u8) -> Arc<[IpAddr]> {
    Arc::from([IpAddr::from(Ipv4Addr::new(198, 51, 100, last))])
}

fn no_such_name() -> Outcome {
    Err(Unresolved::NoSuchName("no such name".into()))
}

fn for_now() -> Outcome {
    Err(Unresolved::Temporary("server failure".into()))
}

fn counts(resolver: &Resolver) -> (usize, usize, usize) {
    resolver.table().counts()
}

/// Its outcome, and what that took
async fn timed(resolver: &Arc<Resolver>, name: &str) -> (Outcome, Duration) {
    let began = TokioInstant::now();
    (resolver.addresses(name).await, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn all_that_ask_for_a_name_at_a_time_share_one_lookup() {
    let servers = Arc::new(NameServers::default());
    let resolver = servers.resolver();
    servers.say("vpn.example", 1);
    let mut all = JoinSet::new();
    for n in 0..1000 {
        let resolver = Arc::clone(&resolver);
        let name = if n % 2 == 0 { "vpn.example" } else { "VPN.Example" };
        all.spawn(async move { resolver.addresses(name).await });
    }
    for outcome in all.join_all().await {
        assert_eq!(outcome, Ok(addresses(1)));
    }
    assert_eq!(servers.asked(), ["vpn.example"]);
    assert_eq!(counts(&resolver), (0, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn at_most_32_lookups_run_at_once_and_all_come_to_their_turn() {
    let servers = Arc::new(NameServers::default());
    let resolver = servers.resolver();
    let mut all = JoinSet::new();
    for n in 0..200_u8 {
        servers.say(&format!("site{n}.example"), n);
        let resolver = Arc::clone(&resolver);
        all.spawn(async move {
            let outcome = resolver.addresses(&format!("site{n}.example")).await;
            assert_eq!(outcome, Ok(addresses(n)));
        });
    }
    let began = TokioInstant::now();
    all.join_all().await;
    assert_eq!(servers.most.load(Ordering::Relaxed), MAX_LOOKUPS);
    assert_eq!(servers.asked().len(), 200);
    // 200 by 32 at a time are seven rounds
    assert_eq!(began.elapsed(), TRIP * 7);
    assert_eq!(counts(&resolver), (0, 0, 200));
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_has_not_begun_is_given_up_with_the_last_that_waits() {
    let servers = Arc::new(NameServers::default());
    let resolver = servers.resolver();
    let mut all = JoinSet::new();
    for n in 0..10_000 {
        let resolver = Arc::clone(&resolver);
        let name = format!("silent{n}.example");
        all.spawn(async move { timeout(Duration::from_secs(1), resolver.addresses(&name)).await });
    }
    // two wait for one of them, and the second for longer
    let late = tokio::spawn({
        let resolver = Arc::clone(&resolver);
        async move { resolver.addresses("silent9000.example").await }
    });
    sleep(Duration::from_millis(500)).await;
    assert_eq!(counts(&resolver), (10_000, 10_000 - MAX_LOOKUPS, 0), "bounded by the names");
    assert!(all.join_all().await.iter().all(Result::is_err));
    assert_eq!(counts(&resolver), (MAX_LOOKUPS + 1, 1, 0), "nothing waits but one");
    servers.say("silent9000.example", 9);
    assert_eq!(late.await.unwrap(), Ok(addresses(9)));
    assert_eq!(servers.asked().len(), MAX_LOOKUPS + 1, "no name that nothing waited for");
    assert_eq!(counts(&resolver), (0, 0, 1));
    assert_eq!(TokioInstant::now().into_std(), now());
}

#[tokio::test(start_paused = true)]
async fn the_last_good_addresses_are_used_while_the_resolver_is_silent_or_fails_for_now() {
    let servers = Arc::new(NameServers::default());
    let resolver = servers.resolver();
    let name = "vpn.example";
    servers.say(name, 1);
    assert_eq!(timed(&resolver, name).await, (Ok(addresses(1)), TRIP));

    servers.set(name, Manner::Silent { until: GIVEN_UP });
    assert_eq!(timed(&resolver, name).await, (Ok(addresses(1)), CLIENT_RESPONSE_TIMEOUT));
    // the lookup goes on, and the next that asks joins it
    assert_eq!(timed(&resolver, name).await, (Ok(addresses(1)), CLIENT_RESPONSE_TIMEOUT));
    assert_eq!(servers.asked().len(), 2);
    sleep(GIVEN_UP).await;

    servers.set(name, Manner::Answers { after: TRIP, with: for_now() });
    assert_eq!(timed(&resolver, name).await, (Ok(addresses(1)), TRIP));

    servers.say(name, 2);
    assert_eq!(timed(&resolver, name).await, (Ok(addresses(2)), TRIP), "fresh ones go before");
    servers.set(name, Manner::Answers { after: TRIP, with: for_now() });
    assert_eq!(timed(&resolver, name).await, (Ok(addresses(2)), TRIP));
    let other = timed(&resolver, "other.example");
    servers.set("other.example", Manner::Answers { after: TRIP, with: for_now() });
    assert_eq!(other.await, (for_now(), TRIP), "of another name nothing is known");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_does_not_exist_any_more_has_no_old_addresses() {
    let servers = Arc::new(NameServers::default());
    let resolver = servers.resolver();
    let name = "vpn.example";
    servers.say(name, 1);
    assert_eq!(resolver.addresses(name).await, Ok(addresses(1)));
    servers.set(name, Manner::Answers { after: TRIP, with: no_such_name() });
    assert_eq!(resolver.addresses(name).await, no_such_name());
    servers.set(name, Manner::Answers { after: TRIP, with: for_now() });
    assert_eq!(resolver.addresses(name).await, for_now(), "they are forgotten");
}

#[tokio::test(start_paused = true)]
async fn old_addresses_are_used_for_a_day_and_no_longer() {
    let servers = Arc::new(NameServers::default());
    let resolver = servers.resolver();
    let name = "vpn.example";
    servers.say(name, 1);
    assert_eq!(resolver.addresses(name).await, Ok(addresses(1)));
    servers.set(name, Manner::Answers { after: TRIP, with: for_now() });
    advance(MAX_AGE.saturating_sub(TRIP)).await;
    assert_eq!(resolver.addresses(name).await, Ok(addresses(1)));
    advance(TRIP).await;
    assert_eq!(resolver.addresses(name).await, for_now());
    assert_eq!(counts(&resolver), (0, 0, 0));
}

#[test]
fn the_oldest_name_makes_room_and_a_name_has_few_addresses() {
    let mut table = LookupTable::default();
    let start = now();
    let name = |n: usize| Arc::from(format!("site{n}.example"));
    let many = (0..100).map(|n| IpAddr::from(Ipv4Addr::new(198, 51, 100, n))).collect();
    let many: Outcome = Ok(many);
    let mut look_up = |n: usize| {
        let name = name(n);
        let _asks = table.ask(&name);
        assert_eq!(table.begin_next(), Some(Arc::clone(&name)));
        let now = start + Duration::from_secs(n as u64);
        assert!(table.finish(&name, &many, now).is_some());
    };
    (0..=MAX_NAMES).for_each(&mut look_up);
    let now = start + Duration::from_secs(MAX_NAMES as u64);
    assert_eq!(table.counts(), (0, 0, MAX_NAMES));
    assert!(table.last_good(&name(0), now).is_none(), "the oldest");
    let (addresses, _) = table.last_good(&name(1), now).expect("the next");
    assert_eq!(addresses.len(), MAX_ADDRESSES);
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_is_asked_for_again_is_not_told_twice() {
    let resolver = Resolver::new(|_| Ok(()));
    let name = Arc::from("vpn.example");
    let mut first = resolver.ask(&name);
    assert!(resolver.table().begin_next().is_some());
    let lookup =
        Lookup { resolver: Arc::clone(&resolver), name: Arc::clone(&name), is_told: false };
    drop(lookup);
    assert!(first.answer().await.is_err(), "a lookup that was dropped is over");
    let mut second = resolver.ask(&name);
    resolver.finish(&name, Ok(addresses(1)));
    let early = timeout(Duration::from_secs(1), second.answer()).await;
    assert!(early.is_err(), "that outcome was the first lookup's");
}

#[tokio::test(start_paused = true)]
async fn without_a_thread_a_lookup_fails_at_once_and_the_next_tries_again() {
    let resolver = Resolver::new(|_| Err(io::ErrorKind::WouldBlock.into()));
    for _ in 0..2 {
        let (outcome, took) = timed(&resolver, "vpn.example").await;
        assert!(matches!(outcome, Err(Unresolved::Temporary(_))), "{outcome:?}");
        assert_eq!(took, Duration::ZERO);
        assert_eq!(counts(&resolver), (0, 0, 0));
    }
}

/// One runtime asks and is shut down; another that waits for the same name has its answer
#[test]
fn a_lookup_outlives_the_runtime_that_asked_for_it_first() {
    let (begin, begun) = std::sync::mpsc::channel::<Lookup>();
    let resolver = Resolver::new(move |mut worker| {
        let begin = begin.clone();
        std::thread::spawn(move || {
            while let Some(lookup) = worker.next() {
                begin.send(lookup).unwrap();
            }
        });
        Ok(())
    });
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let asks = |resolver: &Arc<Resolver>| {
        let resolver = Arc::clone(resolver);
        async move { resolver.addresses("vpn.example").await }
    };
    first.spawn(asks(&resolver));
    first.block_on(tokio::task::yield_now());
    let lookup = begun.recv().unwrap();
    let outcome = second.spawn(asks(&resolver));
    second.block_on(tokio::task::yield_now());
    drop(first);
    lookup.finish(Ok(addresses(1)));
    assert_eq!(second.block_on(outcome).unwrap(), Ok(addresses(1)));
    assert!(begun.try_recv().is_err(), "it was asked once");
}

#[tokio::test]
async fn the_systems_resolver_is_asked_on_threads_of_its_own() {
    let found = Resolver::of_process().addresses("localhost").await.expect("a name of every host");
    assert!(found.iter().all(IpAddr::is_loopback), "{found:?}");
    let unknown = Resolver::of_process().addresses("no\0such").await;
    assert!(unknown.is_err(), "{unknown:?}");
}

/// Collects the warnings
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Fields(String);
        impl tracing::field::Visit for Fields {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
                write!(self.0, "{field}={value:?};").unwrap();
            }
        }
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn the_log_tells_that_addresses_are_old() {
    let warnings = Warnings::default();
    // While there is one subscriber alone, tracing asks the *default of the thread* that first comes by
    // a log line whether anybody wants it. That thread is another test's as often as not, which has
    // none: the line is off for good. Of two subscribers it asks both, in whichever thread.
    let _second = tracing::Dispatch::new(Warnings::default());
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let servers = Arc::new(NameServers::default());
    let resolver = servers.resolver();
    servers.say("vpn.example", 1);
    assert_eq!(resolver.addresses("vpn.example").await, Ok(addresses(1)));
    assert_eq!(warnings.0.lock().unwrap().len(), 0, "those are fresh");
    advance(Duration::from_mins(5)).await;
    servers.set("vpn.example", Manner::Answers { after: TRIP, with: for_now() });
    assert_eq!(resolver.addresses("vpn.example").await, Ok(addresses(1)));
    let told = warnings.0.lock().unwrap().join("\n");
    for part in ["name=vpn.example;", "age=300;", "why=server failure;"] {
        assert!(told.contains(part), "no {part} in {told}");
    }
}
